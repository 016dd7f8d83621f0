"""`wingman cancel` and `wingman wait`: stop what runs, and wait for its end."""

import click

from wingman.api import Receipt
from wingman.cli.console import Console, clean
from wingman.cli.output import echo
from wingman.cli.remote.output import as_json, events_option, for_people, json_option, print_text
from wingman.cli.remote.server import EXIT, FAILED, server_options, talk
from wingman.client import Client, Run
from wingman.errors import NotFound, WingmanError
from wingman.events import Error

__all__ = ["cancel_command", "wait_command"]


@click.command("cancel")
@click.argument("target", metavar="SESSION|RUN")
@click.option("--queued", is_flag=True, help="Of a session: also the runs that wait.")
@json_option
@server_options
def cancel_command(server: str, token: str | None, json: bool, target: str, queued: bool) -> None:
    """Cancel what a SESSION runs, or one RUN; print what has stopped.

    It returns when the work has really stopped, or after 5 s with what has not.
    """
    talk(server, token, _cancel, json, target, queued)


async def _cancel(client: Client, json: bool, target: str, queued: bool) -> int:
    try:
        receipt = await client.cancel(target, queued=queued)
    except NotFound:
        receipt = await (await _run_or_say_so(client, target)).cancel()
    if not for_people(json):
        as_json(receipt)
    else:
        _tell(receipt)
    return 1 if any(run.outcome == "still_running" for run in receipt.cancelled) else 0


async def _run_or_say_so(client: Client, target: str) -> Run:
    try:
        return await client.find_run(target)
    except NotFound:
        raise NotFound("session_or_run", target) from None


def _tell(receipt: Receipt) -> None:
    if not receipt.cancelled:
        echo("There was nothing to cancel.", err=True)
    for run in receipt.cancelled:
        echo(f"{run.run_id} ({run.was})")
    Console().cancelled(receipt)


@click.command("wait")
@click.argument("run")
@events_option
@server_options
def wait_command(server: str, token: str | None, json: bool, run: str) -> None:
    """Wait for the end of a RUN, and print its response.

    The exit code says how it ended. Ctrl-C ends the waiting, and does not touch the run.
    """
    talk(server, token, _wait, json, run)


async def _wait(client: Client, json: bool, run_id: str) -> int:
    run = await client.find_run(run_id)
    try:
        result = await run.result()
    except WingmanError as error:
        if not run.ended:
            raise
        if json:
            as_json(Error(error.code, error.message, run_id))
        echo(f"Error: {clean(str(error))}", err=True)
        return FAILED
    if json:
        as_json(result)
    else:
        print_text(result.response)
        if run.status != "completed":
            Console().note(f"The run was {run.status}.", "yellow")
    return EXIT[run.status]
