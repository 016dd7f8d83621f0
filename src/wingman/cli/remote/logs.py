"""`wingman logs`: a session's events, those that are held, and those to come."""

import signal
from typing import Any, Final

import click
import trio

from wingman.cli.console import Console, clean
from wingman.cli.remote.output import as_json, for_people, json_option
from wingman.cli.remote.server import server_options, talk
from wingman.client import Client, Session
from wingman.events import Done, Error
from wingman.face import Followed, News, Resynced

__all__ = ["logs_command"]

# Without -f: so long after the last event that was there it is over; a run that never pauses is
# not followed for ever. The first event comes once the server has answered.
_FIRST_SECONDS: Final = 2.0
_SILENCE_SECONDS: Final = 0.5
_MOST_SECONDS: Final = 10.0


@click.command("logs")
@click.argument("session")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "--after",
    type=click.IntRange(min=0),
    metavar="ID",
    help="Begin after this event; 0: with the oldest that is held.  "
    "[default: with the step under way]",
)
@click.option("-v", "--verbose", is_flag=True, help="Show thinking, progress and whole results.")
@json_option
@server_options
def logs_command(
    server: str,
    token: str | None,
    json: bool,
    session: str,
    follow: bool,
    after: int | None,
    verbose: bool,
) -> None:
    """Show the events of a SESSION: its text, tool calls and results as they come.

    Ctrl-C ends the command, and does not touch the session.
    """
    talk(server, token, _logs, _Lines(for_people(json), Console(verbose)), session, follow, after)


async def _logs(
    client: Client, lines: "_Lines", session_id: str, follow: bool, after: int | None
) -> int:
    session = await client.session(session_id)
    if after is None:
        after = (await session.describe()).last_event_id
    code = 0
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def leave() -> None:
                nonlocal code
                code = 128 + await anext(signals)
                nursery.cancel_scope.cancel()

            nursery.start_soon(leave)
            await _print(session, lines, follow, after)
            nursery.cancel_scope.cancel()
    lines.end()
    return code


async def _print(session: Session, lines: "_Lines", follow: bool, after: int) -> None:
    inf = float("inf")
    silence = inf if follow else _FIRST_SECONDS
    async with session.follow(after) as events:
        with trio.move_on_after(inf if follow else _MOST_SECONDS):
            while True:
                with trio.move_on_after(silence):
                    lines.show(await anext(events))
                    silence = inf if follow else _SILENCE_SECONDS
                    continue
                return


class _Lines:
    """Events as lines: as a run looks in a terminal, or as JSON."""

    def __init__(self, for_people: bool, console: Console) -> None:
        self._for_people = for_people
        self._console = console
        self._run_id = ""

    def show(self, news: News) -> None:
        """Print one."""
        if not self._for_people:
            as_json(_plain(news))
            return
        match news:
            case Resynced(session=session):
                self._console.note(
                    f"Events up to {session.last_event_id} are not held any more: "
                    f"`wingman show {session.id}` has what they told.",
                    "yellow",
                )
            case Followed(run_id=run_id, event=event):
                if run_id != self._run_id:
                    self._run_id = run_id
                    self._console.note(f"run {run_id}")
                self._console.show(event)
                match event:
                    case Done(result=result):
                        self._console.summary(result)
                        if result.stop_reason == "cancelled":
                            self._console.note("The run was cancelled.", "yellow")
                    case Error(message=message):
                        self._console.note(f"The run failed: {clean(message)}", "red")
                    case _:
                        pass

    def end(self) -> None:
        """End the line that is begun."""
        self._console.end_line()


def _plain(news: News) -> dict[str, Any]:
    if isinstance(news, Resynced):
        return {"id": news.session.last_event_id, "run_id": None, "event": "resync", "data": None}
    event = news.event
    data = event.result if isinstance(event, Done) else event
    return {"id": news.id, "run_id": news.run_id, "event": event.kind, "data": data}
