"""One message in a session, shown in the terminal, and who is asked about its calls."""

from pathlib import Path

from wingman.api import OnAsk
from wingman.cli.asking import Asking
from wingman.cli.console import Console
from wingman.cli.interrupt import follow_run
from wingman.cli.terminal import is_terminal
from wingman.runtime import Session

__all__ = ["run_in"]


async def run_in(session: Session, work_dir: Path, message: str, console: Console) -> int:
    """Send a message to a session of this process, show its run, and return the exit code."""
    asking = Asking(console, session.answer, work_dir) if is_terminal() else None
    show = console.show if asking is None else asking.show
    on_ask: OnAsk = "reject" if asking is None else "wait"
    async with session.run_stream(message, on_ask=on_ask) as stream:
        try:
            code = await follow_run(stream, console, show, asking)
        finally:
            console.end_line()
        console.summary(stream.result)
        return code
