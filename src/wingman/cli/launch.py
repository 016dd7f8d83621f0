"""From click into Trio, and back with an exit code, or an error that is one line."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import click
import trio

from wingman.cli.console import clean
from wingman.cli.output import OutputFailed
from wingman.errors import WingmanError

__all__ = ["launch", "leaves_of"]

_EXPECTED: Final = (WingmanError, click.ClickException, KeyboardInterrupt)


def _message(error: WingmanError) -> str:
    return error.message


def launch(
    main: Callable[[], Awaitable[int]], told: Callable[[WingmanError], str] = _message
) -> None:
    """Run a command's async part, and end the command with the exit code it returns.

    `told` puts an error into words, where the error's own advise what the command cannot do.

    Errors that are expected (Wingman's own, click's) come out as one line and exit code 1, or as
    click says. They are found in exception groups, where nurseries put them and click does not
    look; so is Ctrl-C. Any other is a bug, and shows its traceback.
    """
    try:
        # Ctrl-C interrupts a command where it waits. Between two lines of an HTTP client it would
        # leave an `async with` without its end, and Python would warn of that.
        code = trio.run(main, restrict_keyboard_interrupt_to_checkpoints=True)
    except (WingmanError, BaseExceptionGroup) as error:
        leaves = list(leaves_of(error))
        if not all(isinstance(leaf, _EXPECTED) for leaf in leaves):
            raise
        # Ctrl-C comes first, then what could not be written: what else broke, broke because of it.
        leaves.sort(key=lambda leaf: not isinstance(leaf, OutputFailed))
        leaves.sort(key=lambda leaf: not isinstance(leaf, KeyboardInterrupt))
        if isinstance(leaves[0], WingmanError):
            raise click.ClickException(clean(told(leaves[0]))) from error
        raise leaves[0] from None
    click.get_current_context().exit(code)


def leaves_of(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group, and in the groups in it; or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from leaves_of(part)
    else:
        yield error
