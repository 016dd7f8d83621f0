"""`wingman ps`: what runs, and what waits."""

from collections.abc import Mapping
from typing import Any, Final

import click
import trio

from wingman.api import AgentRecord, RunView, Status
from wingman.cli.output import echo
from wingman.cli.remote.output import for_people, json_option, lasted, print_rows
from wingman.cli.remote.server import server_options, talk
from wingman.client import Client
from wingman.events import Step, ToolResult, ToolUse
from wingman.face import Followed

__all__ = ["ps_command"]

_LIVE: Final[tuple[Status, ...]] = ("running", "waiting", "cancelling", "queued")
_LOOKED_AT: Final = 50  # runs whose step and tool are looked for
_SESSIONS: Final = 1000  # the newest, among which theirs are
_AT_ONCE: Final = 8
_LOOK_SECONDS: Final = 0.3  # for events that are there already


@click.command("ps")
@json_option
@server_options
def ps_command(server: str, token: str | None, json: bool) -> None:
    """List the runs that are in flight, those that wait for your permission, and those that wait
    for their turn."""
    talk(server, token, _ps, json)


async def _ps(client: Client, json: bool) -> int:
    runs = [run async for run in client.runs(statuses=_LIVE)]
    agents = {agent.id: agent for agent in await client.agents.list()}
    doing = await _looked_at(client, [run for run in runs if run.status != "queued"][:_LOOKED_AT])
    rows = [_row(run, agents, doing.get(run.id, {})) for run in runs]
    if not rows and for_people(json):
        echo("Nothing runs.", err=True)
        return 0
    columns = ("session", "run", "status", "agent", "model", "step", "tool", "for")
    print_rows(columns, rows, json)
    if for_people(json) and any(run.status == "waiting" for run in runs):
        echo("What waits needs permission: `wingman permissions` lists it.", err=True)
    return 0


def _row(
    run: RunView, agents: Mapping[str, AgentRecord], doing: Mapping[str, Any]
) -> dict[str, Any]:
    agent = agents.get(run.agent_id)
    model = None
    if agent is not None:
        model = "/".join(part for part in (agent.provider.id, agent.provider.model) if part)
    since = run.started_at or run.created_at
    return {
        "session": run.session_id,
        "run": run.id,
        "status": run.status,
        "agent": run.agent_id if agent is None else agent.name,
        "model": model,
        "step": doing.get("step", run.steps or None),
        "tool": doing.get("tool"),
        "for": lasted(since),
        "since": since,
        "message": run.message,
    }


async def _looked_at(client: Client, runs: list[RunView]) -> dict[str, dict[str, Any]]:
    """The step and the tool calls of runs in flight: the events since the last whole step."""
    wanted = {run.session_id for run in runs}
    places: dict[str, int] = {}
    seen = 0
    sessions = client.sessions()
    while len(places) < len(wanted) and seen < _SESSIONS:
        session = await anext(sessions, None)
        if session is None:
            break
        seen += 1
        if session.id in wanted:
            places[session.id] = session.last_event_id
    found: dict[str, dict[str, Any]] = {}
    limiter = trio.CapacityLimiter(_AT_ONCE)
    async with trio.open_nursery() as nursery:
        for run in runs:
            if run.session_id in places:
                nursery.start_soon(_look, client, run, places[run.session_id], found, limiter)
    return found


async def _look(
    client: Client,
    run: RunView,
    after: int,
    found: dict[str, dict[str, Any]],
    limiter: trio.CapacityLimiter,
) -> None:
    doing: dict[str, Any] = {}
    calls: dict[str, str] = {}
    async with limiter:
        session = await client.session(run.session_id)
        with trio.move_on_after(_LOOK_SECONDS):
            async with session.follow(after) as events:
                async for news in events:
                    # A session that another node has just taken over goes on after a `Resynced`.
                    if not isinstance(news, Followed) or news.run_id != run.id:
                        continue
                    match news.event:
                        case Step(step=step):
                            doing["step"] = step
                        case ToolUse(id=id, name=name):
                            calls[id] = name
                        case ToolResult(tool_use_id=id):
                            calls.pop(id, None)
                        case _:
                            pass
    doing["tool"] = ", ".join(calls.values()) or None
    found[run.id] = doing
