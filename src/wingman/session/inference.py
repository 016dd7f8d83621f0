"""Inference: one step's question to the model, and its answer as it comes.

The provider's parts become the step's draft, and events as they come. A stream that breaks before
the world has seen any of its text or calls is asked for once more.
"""

import logging
from collections.abc import Sequence

import attrs
import trio

from wingman.conversation import Message
from wingman.errors import ProviderError, ProviderStreamError, ProviderTimeout
from wingman.events import Text, ToolUse
from wingman.providers import Answering, Request, ToolSpec, UsageUpdate, closing
from wingman.session.draft import StepDraft
from wingman.session.history import alternate
from wingman.session.live import LiveSession
from wingman.session.meter import Meter
from wingman.session.run import Job
from wingman.session.window import check_window

__all__ = ["Inference"]

logger = logging.getLogger("wingman.session")

# A provider that breaks off is given a moment before it is asked again.
_PAUSE_SECONDS = 0.5


@attrs.define(eq=False)
class Inference:
    """One inference of a run. `draft` is what has come of it, a new one where it is asked again.

    `_heard`: a part of the stream has come. `_published`: the world has seen text or a call, which
    cannot be taken back. Reasoning can: only those see it who ask for it, and it is no result.
    """

    job: Job
    live: LiveSession
    history: Sequence[Message]
    meter: Meter
    draft: StepDraft = attrs.field(init=False)
    _heard: bool = False
    _published: bool = False

    def __attrs_post_init__(self) -> None:
        self.draft = StepDraft(self.live.tool_ids)

    async def perform(self) -> None:
        """Ask, and take the answer to its end.

        Raises what the provider raises, and `ContextTooLong` where asking makes no sense.
        """
        request = self._request()
        check_window(request, self.job.agent.provider, self.live.services.window_of)
        try:
            await self._attempt(request)
        except (ProviderStreamError, ProviderTimeout) as error:
            if not self._may_ask_again(error):
                raise
            logger.warning(
                "run %s: %s; nothing of the step was published: asked again",
                self.job.run.id,
                error.message,
            )
            await trio.sleep(_PAUSE_SECONDS)
            self.draft = StepDraft(self.live.tool_ids)
            await self._attempt(request)

    def _may_ask_again(self, error: ProviderError) -> bool:
        """A provider that was silent from the start has had its time, and its attempts."""
        return not self._published and (self._heard or isinstance(error, ProviderStreamError))

    async def _attempt(self, request: Request) -> None:
        live, run, draft = self.live, self.job.run, self.draft
        provider = self.job.agent.provider
        self.meter.begin(provider.id, provider.model)
        try:
            stream = provider.stream(request, live.services.transport)
            async with closing(stream) as parts:
                async for part in parts:
                    self._heard = True
                    event = draft.add(part)
                    if isinstance(part, Answering):
                        self.meter.begin(part.provider, part.model)
                    if isinstance(part, UsageUpdate):
                        self.meter.count(part.usage)
                    if event is None:
                        continue
                    self._published = self._published or isinstance(event, Text | ToolUse)
                    if (reserved := live.publish(run, event)) is not None:
                        await reserved.wait()
        finally:
            live.services.metrics.step_ended(*self.meter.inference)
        if draft.finish is None:
            raise ProviderStreamError("the stream ended without saying so", provider=provider.id)

    def _request(self) -> Request:
        agent = self.job.agent
        return Request(
            messages=alternate(tuple(self.history)),
            system=agent.instructions,
            tools=tuple(
                ToolSpec(tool.name, tool.description, dict(tool.input_schema))
                for tool in agent.tools
            ),
            output_schema=None if agent.output_schema is None else dict(agent.output_schema),
        )
