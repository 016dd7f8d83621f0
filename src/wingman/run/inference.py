"""Inference: one step's question to the model, and its answer as it comes.

The provider's parts become the step's draft, and events as they come. A stream that breaks before
the world has seen any of its text or calls is asked for once more.
"""

import logging
from collections.abc import AsyncGenerator, Sequence
from typing import NoReturn

import attrs
import trio

from wingman.agent import Agent
from wingman.conversation import Message, Withheld
from wingman.errors import (
    ContextTooLong,
    ProviderError,
    ProviderStreamError,
    ProviderTimeout,
    RunFailed,
    WingmanError,
)
from wingman.events import Text, ToolUse
from wingman.foreign import contained, let_on, reason
from wingman.providers import (
    Answering,
    Part,
    Provider,
    Request,
    Transport,
    UsageUpdate,
    close,
)
from wingman.run.calls import ToolCall
from wingman.run.compaction import Compactor
from wingman.run.context import check_window, request_of
from wingman.run.cost import Meter
from wingman.run.draft import StepDraft
from wingman.run.history import alternate
from wingman.run.journal import RunJournal
from wingman.run.logbook import asked_again
from wingman.run.model import Model
from wingman.run.refusals import is_refusal, is_too_long, may_forget
from wingman.run.sendable import lesser, sendable
from wingman.run.shown import Shown

__all__ = ["Inference"]

logger = logging.getLogger("wingman.run")

# A provider that breaks off is given a moment before it is asked again.
_PAUSE_SECONDS = 0.5
# After so many events of one that is never waited for, readers have their turn.
_BURST = 256


@attrs.define(eq=False)
class Inference:
    """One inference of a run. `draft` is what has come of it, a new one where it is asked again.

    It puts each call into `announced` as the world learns of it: from then on it can be cancelled.

    `_heard`: a part of the stream has come. `_published`: the world has seen text or a call, which
    cannot be taken back. Reasoning can: only those see it who ask for it, and it is no result.
    """

    agent: Agent
    journal: RunJournal
    model: Model
    meter: Meter
    shown: Shown
    tool_ids: set[str]
    announced: dict[str, ToolCall]
    compactor: Compactor
    draft: StepDraft = attrs.field(init=False)
    _heard: bool = False
    _published: bool = False
    _withheld: Withheld | None = None

    def __attrs_post_init__(self) -> None:
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.draft = StepDraft(self.tool_ids, self._withheld)

    async def perform(self, history: list[Message], own: int) -> None:
        """Ask, and take the answer to its end. The last `own` messages are the run's.

        A history that grows too long is compacted before, and once more where the request is
        refused for its length. Where the provider refuses it for what is in it, it is asked again
        with less, three times at most. Raises what the provider raises, of refusals the first, and
        `ContextTooLong` where no less can be sent.
        """
        try:
            await self._ask(await self._request(history), history, own)
            return
        except (ProviderError, ContextTooLong) as error:
            if self._published or not is_too_long(error):
                raise
            if not await self.compactor.after_refusal(history, error.message):  # noqa: ASYNC120 a cancel is what counts then
                raise _too_long(error) from error
            event = "the request was too long: the history is compacted, and it is asked again"
            asked_again(self.journal.record, event, error)
        self._begin_anew()
        try:
            await self._ask(await self._request(history, compact=False), history, own)
        except (ProviderError, ContextTooLong) as error:
            if self._published or not is_too_long(error):
                raise
            raise _too_long(error) from error

    async def _request(self, history: list[Message], *, compact: bool = True) -> Request:
        """What the model is shown, within its window."""
        provider, view = self.agent.provider, self.compactor.view
        messages = await self.shown.follow(view.follow(history), provider)
        if compact and self.compactor.is_due(self.shown.characters, self.shown.images):
            await self.compactor.before_inference(history)
            messages = await self.shown.follow(view.follow(history), provider)
        request = request_of(self.agent, messages, self.shown.kept)
        fixed = self.compactor.fixed
        check_window(fixed + self.shown.characters, provider, self.model.window_of)
        return request

    async def _ask(self, request: Request, history: list[Message], own: int) -> None:
        try:
            await self._twice(request)
            self.compactor.counted(self.shown.characters, self.shown.images)
            return
        except ProviderError as error:
            if not self._may_ask_for_less(error, request):
                raise
            refusal = error
        try:
            shown = self.compactor.view.follow(history)
            if not await self._ask_for_less(shown, min(own, len(shown)), refusal):
                raise refusal
        finally:
            del refusal  # its traceback refers to this frame

    async def _ask_for_less(
        self, history: Sequence[Message], own: int, refusal: ProviderError
    ) -> bool:
        """Ask again with less of the history; whether that was taken."""
        provider = self.agent.provider
        for withheld in lesser(history, provider.id, provider.model, own):
            if withheld.kept is not None and not may_forget(refusal):
                break
            event = "the API refused the history: it is asked again with less of it"
            asked_again(self.journal.record, event, refusal, without=_in_words(withheld))
            self._withheld = withheld
            self._begin_anew()
            less = sendable(history, provider.id, provider.model, withheld)
            request = request_of(self.agent, alternate(less))
            try:
                await self._twice(request)
            except ProviderError as error:
                if not self._may_ask_for_less(error, request):
                    raise
            else:
                return True
        return False

    def _may_ask_for_less(self, error: ProviderError, request: Request) -> bool:
        return not self._published and is_refusal(error, request)

    async def _twice(self, request: Request) -> None:
        """Ask; once more where the stream breaks before the world has seen anything of it."""
        try:
            await self._attempt(request)
        except (ProviderStreamError, ProviderTimeout) as error:
            if not self._may_ask_again(error):
                raise
            event = (
                "the model's stream broke before anything of it was published: it is asked again"
            )
            asked_again(self.journal.record, event, error)
            await trio.sleep(_PAUSE_SECONDS)
            self._begin_anew()
            await self._attempt(request)

    def _may_ask_again(self, error: ProviderError) -> bool:
        """A provider that was silent from the start has had its time, and its attempts."""
        return not self._published and (self._heard or isinstance(error, ProviderStreamError))

    async def _attempt(self, request: Request) -> None:
        provider, draft = self.agent.provider, self.draft
        self.meter.begin(provider.id, provider.model)
        parts, events = _opened(provider, request, self.model.transport), 0
        try:
            async for part in parts:
                self._heard = True
                event = draft.add(part)
                if isinstance(part, UsageUpdate):
                    self._count(part)
                if event is None:
                    continue
                self._published = self._published or isinstance(event, Text | ToolUse)
                if isinstance(event, ToolUse):
                    self.announced[event.id] = ToolCall(draft.message().tool_uses[-1])
                events += 1
                if (reserved := self.journal.publish(event)) is not None:
                    await reserved.wait()
                elif not events % _BURST:
                    await trio.lowlevel.checkpoint()
        except BaseException as error:  # noqa: ASYNC103 a cancellation passes
            self.journal.check()  # the store's failure is not the provider's
            _raise_failure(provider, contained(error))
        finally:
            provider_id, _, usage = self.meter.inference
            self.model.metrics.step_ended(provider_id, usage)
            await close(parts)  # noqa: ASYNC102 it waits for the provider
        if draft.finish is None:
            raise ProviderStreamError("the stream ended without saying so", provider=provider.id)

    def _count(self, part: UsageUpdate) -> None:
        if isinstance(part, Answering):
            self.meter.begin(part.provider, part.model)
        self.meter.count(part.usage)


def _opened(
    provider: Provider, request: Request, transport: Transport
) -> AsyncGenerator[Part, None]:
    """The provider's stream. Whatever it raises here or later is the provider's failure."""
    try:
        return provider.stream(request, transport)
    except BaseException as error:  # noqa: ASYNC103 a cancellation passes
        _raise_failure(provider, contained(error))


def _raise_failure(provider: Provider, failure: Exception) -> NoReturn:
    """Raise what a provider has raised, as the run's failure.

    The text of an error that is none of ours may hold a secret: the log has it, and nobody else.
    """
    members = failure.exceptions if isinstance(failure, ExceptionGroup) else (failure,)
    try:
        if len(members) == 1 and isinstance(members[0], WingmanError):
            let_on(members[0])
        logger.error("the provider %s failed: %s", provider.id, reason(failure), exc_info=failure)
        kinds = ", ".join(sorted({type(member.__cause__ or member).__name__ for member in members}))
        raise RunFailed(
            f"The provider {provider.id!r} failed by an error of its own ({kinds}); "
            "the server's log has the details.",
            "internal_error",
        ) from failure
    finally:
        del failure, members  # their tracebacks refer to this frame


def _in_words(withheld: Withheld) -> str:
    """What is withheld, for the log."""
    if withheld.kept is not None:
        return "what was before this run"
    if withheld.reasoning:
        return "all images, the reasoning and the new results"
    return f"{withheld.images} images"


def _too_long(error: ProviderError | ContextTooLong) -> ContextTooLong:
    """A request that was refused for its length, as the run's failure."""
    return error if isinstance(error, ContextTooLong) else ContextTooLong(error.message)
