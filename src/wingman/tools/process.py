"""One command for a tool: `wingman.processes`, with a tool's context and a tool's errors."""

from collections.abc import Callable, Sequence

from wingman.errors import ToolError
from wingman.processes import CannotStart, Completed, Output, run_command
from wingman.tools.base import ToolContext
from wingman.tools.threads import no_thread
from wingman.under_trio import require_trio

__all__ = ["run_process"]


async def run_process(
    argv: Sequence[str],
    context: ToolContext,
    *,
    seconds: float,
    output: Output,
    progress: Callable[[str], None] | None = None,
) -> Completed:
    """Run `argv` in the context's directory, as `run_command` does; `ToolError` if it cannot."""
    require_trio()
    try:
        return await run_command(
            argv,
            context.work_dir,
            seconds=seconds,
            output=output,
            environment=context.environment,
            report_still_running=context.report_still_running,
            progress=progress,
        )
    except CannotStart as error:
        raise ToolError(str(error)) from error
    except RuntimeError as error:  # without keepers, a command is started in a thread
        raise no_thread(error) from error
