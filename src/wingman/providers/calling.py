"""How a provider is called, which may be anyone's: checked first, and closed at the end.

What is not known of a provider, such as its window, is asked for here and nowhere else.
"""

import inspect
import logging
from collections.abc import AsyncGenerator, Callable

from wingman.foreign import contained, reason
from wingman.providers.base import Part, Provider, WindowOf

__all__ = ["close", "context_window", "require_provider"]

_log = logging.getLogger("wingman.providers")


def require_provider(given: object) -> None:
    """Raise `TypeError` if this is no provider; the text says what to give in its place."""
    if isinstance(given, type):
        name = given.__name__
        raise TypeError(
            f"{name} is a class, and a provider is an instance of one: write {name}(…), with "
            "what it takes, such as the model's name"
        )
    stream = getattr(given, "stream", None)
    if not callable(stream):
        raise TypeError(
            f"{given!r} is not a provider: take one of wingman.providers, such as "
            'Anthropic("claude-sonnet-4-5"), or an object with id, model and '
            "stream(request, transport)"
        )
    try:
        signature = inspect.signature(stream)
    except (TypeError, ValueError):
        return  # a callable of C's, that does not tell
    try:
        signature.bind("request", "transport")
    except TypeError:
        raise TypeError(
            f"{type(given).__name__}.stream{signature} cannot be called: a provider's stream takes "
            "request and transport, as in `async def stream(self, request, transport)`"
        ) from None


def context_window(provider: Provider, window_of: WindowOf) -> int | None:
    """The largest window of the models that may answer, in tokens; None if it is not known.

    A provider that `TellsWindow` is asked; of any other, `window_of` is. What a provider raises
    here is logged, and its window is not known: the question must not fail for that.
    """
    # Not `isinstance`: to check a protocol costs more than all else that is done for a request.
    tells: Callable[[WindowOf], int | None] | None = getattr(provider, "context_window", None)
    if tells is None:
        return window_of(provider.id, provider.model)
    try:
        return tells(window_of)
    except BaseException as error:  # noqa: ASYNC103 contained lets a cancellation through
        _log.error("%s cannot tell its window: %s", provider.id, reason(contained(error)))
        return None  # noqa: ASYNC104 the same


async def close(parts: AsyncGenerator[Part, None]) -> None:
    """Close a provider's stream; what closing raises is logged, but for a cancellation of ours.

    The answer is whole by then, or has failed: closing it cannot change that, nor may it hide why.
    """
    try:
        await parts.aclose()
    except BaseException as error:  # noqa: ASYNC103 contained lets a cancellation through
        _log.error("a provider's stream does not close: %s", reason(contained(error)))
