"""What a provider must be like: asked, left, cancelled, at each place where that can happen."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import attrs
import msgspec
import trio

from wingman.conversation import Message, ToolResultBlock, ToolUseBlock
from wingman.providers import (
    Finished,
    Part,
    Provider,
    Request,
    ToolSpec,
    Transport,
    require_provider,
)
from wingman.testing.parts import check_parts, demand
from wingman.testing.traces import at_step, nothing_unclosed, tasks_begun
from wingman.under_trio import require_trio

__all__ = ["check_provider"]


async def check_provider(
    make: Callable[[], Provider],
    *,
    message: str = "Say hello.",
    tools: Sequence[ToolSpec] = (),
    transport: Transport | None = None,
    cancels: int = 100,
    seconds: float = 60.0,
) -> None:
    """Hold a provider to the protocol; raises `AssertionError` for what it breaks.

    `make` gives one that can answer at least twice; it is called for each check. It is asked with
    `message` and `tools`, once as a whole, twice at once, left early after each of its parts, and
    cancelled at each of its awaits, of which the first `cancels` are tried. Where it calls tools it
    is also asked with their results. Each inference may take `seconds`.
    """
    require_trio()
    async with AsyncExitStack() as stack:
        if transport is None:
            transport = await stack.enter_async_context(Transport())
        request = Request([Message.user(message)], tools=tuple(tools))
        suite = _Suite(make, request, transport, seconds)
        parts = await suite.check_a_whole_inference()
        await suite.check_its_own_results(parts)
        await suite.check_two_at_once()
        await suite.check_leaving_early(len(parts))
        await suite.check_cancelling(cancels)


@attrs.frozen
class _Suite:
    """The checks that ask a provider."""

    make: Callable[[], Provider]
    request: Request
    transport: Transport
    seconds: float

    async def check_a_whole_inference(self) -> Sequence[Part]:
        provider = self.make()
        demand(
            isinstance(provider, Provider) and bool(provider.id) and bool(provider.model),
            f"a provider has an id, a model and stream(): {provider!r}",
        )
        try:
            require_provider(provider)
        except TypeError as error:
            raise AssertionError(str(error)) from error
        before = msgspec.json.encode(self.request.messages)
        parts = await self._whole(provider, self.request)
        after = msgspec.json.encode(self.request.messages)
        demand(before == after, "the request's messages belong to the caller and were changed")
        return parts

    async def check_its_own_results(self, parts: Sequence[Part]) -> None:
        calls = tuple(part for part in parts if isinstance(part, ToolUseBlock) and part.id)
        if calls:
            results = tuple(ToolResultBlock(call.id, "Done.", is_error=False) for call in calls)
            said = [Message("assistant", calls), Message("user", results)]
            messages = [*self.request.messages, *said]
            await self._whole(self.make(), attrs.evolve(self.request, messages=messages))

    async def check_two_at_once(self) -> None:
        provider = self.make()
        async with self._nothing_left("asked twice at once"), trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(_read, provider, self.request, self.transport)

    async def check_leaving_early(self, parts: int) -> None:
        for number in range(parts):
            async with self._nothing_left(f"left after part {number + 1}"):
                stream = self.make().stream(self.request, self.transport)
                async with aclosing(stream):
                    for _ in range(number + 1):
                        await anext(stream, None)

    async def check_cancelling(self, cancels: int) -> None:
        for step in range(1, cancels + 1):
            if not await self._cancelled_at(step):
                return

    async def _cancelled_at(self, step: int) -> bool:
        """Cancel an inference before it goes on for the `step`-th time; whether it got that far."""
        finished = False
        provider = self.make()
        async with self._nothing_left(f"cancelled at await {step}"):
            with trio.CancelScope() as scope, at_step(step, scope.cancel):
                async with aclosing(provider.stream(self.request, self.transport)) as parts:
                    async for part in parts:
                        finished = isinstance(part, Finished)
        demand(
            finished or scope.cancelled_caught,
            f"cancelled at await {step}, it must let trio.Cancelled pass, not end quietly",
        )
        return scope.cancel_called

    async def _whole(self, provider: Provider, request: Request) -> Sequence[Part]:
        async with self._nothing_left("read to its end"):
            return await _read(provider, request, self.transport)

    @asynccontextmanager
    async def _nothing_left(self, when: str) -> AsyncIterator[None]:
        """What is done in the block ends in time, raises nothing, and leaves nothing behind."""
        with tasks_begun() as left:
            try:
                with trio.fail_after(self.seconds), nothing_unclosed(when):  # noqa: ASYNC100 the block's
                    yield
            except trio.TooSlowError as error:
                raise AssertionError(f"{when}, it took more than {self.seconds:g} s") from error
            except AssertionError:
                raise
            except Exception as error:
                raise AssertionError(
                    f"{when}, it raised {type(error).__name__}: {error}"
                ) from error
            demand(not left, f"{when}, it left {len(left)} tasks behind")


async def _read(provider: Provider, request: Request, transport: Transport) -> Sequence[Part]:
    """One inference to its end, its parts checked."""
    async with aclosing(provider.stream(request, transport)) as stream:
        parts = [part async for part in stream]
    check_parts(parts)
    return parts
