"""Compaction: a history that grows beyond its model's window goes on as a summary and its end.

Before an inference whose request would pass a threshold, first old tool results are shown
shortened. Where that is not enough, the model writes a summary of the oldest part. What cannot be
made to fit is `ContextTooLong`. It is tried once for each inference, and once more where the
provider says that the request is too long: never in a loop.

Tokens are counted as the provider last counted them, and what is new by the same measure.
"""

import logging
from collections.abc import Sequence
from typing import Final

import attrs
from msgspec.structs import replace

from wingman.agent import Agent
from wingman.conversation import Message
from wingman.errors import ContextTooLong, ProviderError, RunFailed
from wingman.providers import context_window
from wingman.run.context import characters_of, fixed_characters, images_of
from wingman.run.cost import Meter
from wingman.run.journal import RunJournal
from wingman.run.model import Model
from wingman.run.refusals import sizes_in
from wingman.run.summary import extract, summarise, transcript_of
from wingman.run.view import View, is_boundary, view_of
from wingman.store import Compacted
from wingman.telemetry import log_event

__all__ = ["Compactor"]

logger = logging.getLogger("wingman.run")

_LEAST_RATE: Final = 0.1
_MOST_RATE: Final = 1.2
_TOKENS_AN_IMAGE: Final = 1_600
_MOST_ROOM: Final = 16_384  # tokens that are kept free for the answer, where nobody says
_ENOUGH: Final = 0.75  # of the threshold: shortening that leaves more is not enough
_LONGEST_WORDS: Final = 4_000  # characters of the user's last message, below a summary
_KEPT: Final = 0.4  # of the threshold: the end of the history that stays as it is


@attrs.define(eq=False)
class Compactor:
    """Keeps what one run's model is shown within its window. `view` is the session's, and `fixed`
    the characters that go with each request."""

    agent: Agent
    journal: RunJournal
    model: Model
    meter: Meter
    view: View
    fixed: int = attrs.field(init=False)

    @fixed.default
    def _measure(self) -> int:
        return fixed_characters(self.agent)

    def use(self, agent: Agent) -> None:
        """The agent has other tools now."""
        self.agent = agent
        self.fixed = self._measure()

    # --- measuring -----------------------------------------------------------------------------

    def counted(self, characters: int, images: int) -> None:
        """The provider has counted the tokens of a request with so much in its messages."""
        _, _, usage = self.meter.inference
        if usage.input_tokens:
            self.view.rate = self._rate(usage.input_tokens, characters, images)

    def _rate(self, tokens: int, characters: int, images: int) -> float:
        """The tokens of a character, in a request of so many."""
        text = max(tokens - images * _TOKENS_AN_IMAGE, 0)
        return min(max(text / max(self.fixed + characters, 1), _LEAST_RATE), _MOST_RATE)

    def tokens(self, characters: int, images: int) -> int:
        """About how many tokens a request has with so much in its messages."""
        return round((self.fixed + characters) * self.view.rate) + images * _TOKENS_AN_IMAGE

    def tokens_of(self, messages: Sequence[Message]) -> int:
        """About how many tokens a request with these messages has."""
        return self.tokens(sum(map(characters_of, messages)), sum(map(images_of, messages)))

    def _window(self) -> int | None:
        return context_window(self.agent.provider, self.model.window_of)

    def _room(self, window: int) -> int:
        """What is kept free for the answer."""
        asked = getattr(self.agent.provider, "max_tokens", None)
        room = asked if isinstance(asked, int) else _MOST_ROOM
        return min(room, window // 4)

    # --- compacting ----------------------------------------------------------------------------

    def is_due(self, characters: int, images: int) -> bool:
        """Whether a request with so much in its messages passes the threshold."""
        window, settings = self._window(), self.agent.compaction
        if window is None or settings is None:
            return False
        return self.tokens(characters, images) > self._threshold(window, settings.threshold)

    def _threshold(self, window: int, part: float) -> int:
        """Half of what there is for messages at least, or each step would be compacted anew."""
        most = window - self._room(window)
        return max(round(most * part), (most + min(self.tokens(0, 0), most)) // 2)

    async def before_inference(self, history: list[Message]) -> None:
        """Compact a history whose request passes the threshold."""
        window, settings = self._window(), self.agent.compaction
        if window is None or settings is None:
            return
        before = self.tokens_of(self.view.follow(history))
        threshold = self._threshold(window, settings.threshold)
        await self._compact(history, before, threshold, window - self._room(window))

    async def after_refusal(self, history: list[Message], said: str) -> bool:
        """The request was too long, as the provider `said` or by its window: compact to what may
        fit. Returns whether there was anything to compact, so that asking again is of use."""
        if self.agent.compaction is None:
            return False
        messages = self.view.follow(history)
        characters = sum(map(characters_of, messages))
        images = sum(map(images_of, messages))
        tokens, most = sizes_in(said)
        known = self._window()
        window = known or most
        # It has more tokens than was estimated: so many as it says, or more than its window.
        tokens = tokens or (None if window is None else window - self._room(window))
        if tokens is not None:
            self.view.rate = max(self.view.rate, self._rate(tokens, characters, images))
        before = self.tokens(characters, images)
        room = before if window is None else min(before, window - self._room(window))
        threshold = (room + min(self.tokens(0, 0), room)) // 2
        return await self._compact(history, before, threshold, room)

    async def on_demand(self, history: list[Message], instructions: str) -> str:
        """Summarise all but the last turn, whether it is needed or not; return what was done."""
        before = self.tokens_of(self.view.follow(history))
        turns = [index for index, message in enumerate(history) if _is_turn(message)]
        upto = turns[-1] if turns else 0
        done = 0 if self.view.compacted is None else self.view.compacted.upto
        if upto <= done:
            return "There is nothing to compact: the history has one turn since the last summary."
        if not await self._summarised(history, upto, before, before, instructions, gains=True):
            return "The summary is longer than what it would replace: the history stays as it is."
        after = self.tokens_of(self.view.follow(history))
        return f"The history is compacted: from about {before:,} tokens to {after:,}."

    async def _compact(
        self,
        history: list[Message],
        before: int,
        threshold: int,
        room: int,
    ) -> bool:
        """Shorten, summarise, or give up; whether anything has changed."""
        old = self.view.compacted or Compacted()
        kept = round(max(threshold - self.tokens(0, 0), 0) * _KEPT)
        tail = self._boundary(history, kept)
        short = replace(old, shortened=max(old.shortened, tail))
        after = self.tokens_of(view_of(history, short))
        if after <= threshold * _ENOUGH and short != old:
            await self._record(history, short, before)
            return True
        if tail > old.upto:
            await self._summarised(history, tail, before, kept)
        else:
            # The last turn alone is too long: its own results are all that can be cut.
            all_short = replace(old, shortened=_last_answer(history))
            if all_short != old:
                await self._record(history, all_short, before)
        after = self.tokens_of(self.view.follow(history))
        if after > room:
            all_short = replace(self.view.compacted or old, shortened=len(history))
            if (
                all_short != self.view.compacted
                and self.tokens_of(view_of(history, all_short)) < after
            ):
                await self._record(history, all_short, before)
        return (self.view.compacted or Compacted()) != old

    def _boundary(self, history: Sequence[Message], tokens: int) -> int:
        """Where the end of a history begins that has so many tokens: with a turn if one begins
        there, else with an answer; it has the last turn's last answer at least."""
        size, found, turn = 0, 0, None
        for index in range(len(history) - 1, -1, -1):
            message = history[index]
            size += round(characters_of(message) * self.view.rate)
            size += images_of(message) * _TOKENS_AN_IMAGE
            if size > tokens and found:
                break
            if is_boundary(message):
                found = index
                if _is_turn(message):
                    turn = index
        return found if turn is None else turn

    async def _summarised(
        self,
        history: list[Message],
        upto: int,
        before: int,
        kept: int,
        instructions: str = "",
        *,
        gains: bool = False,
    ) -> bool:
        """Have a summary written of all before `upto`, the last summary included, of half as many
        tokens as are kept. Whether it was taken: one that is to gain something must be shorter."""
        old = self.view.compacted or Compacted()
        head = view_of(history[:upto], replace(old, shortened=0))
        provider = (self.agent.compaction and self.agent.compaction.provider) or self.agent.provider
        longest = max(round(kept / 2 / self.view.rate), 400)
        window = context_window(provider, self.model.window_of) or before
        room = max(round((window - self._room(window)) * 0.6 / max(self.view.rate, 0.3)), 1_000)
        try:
            text = await summarise(
                provider,
                transcript_of(head, room),
                instructions,
                self.model.transport,
                self.meter,
            )
        except (ProviderError, RunFailed, ContextTooLong) as error:
            log_event(
                logger,
                logging.WARNING,
                "no summary could be had: the history is shortened",
                error,
                session_id=self.journal.session.session_id,
                run_id=self.journal.record.id,
            )
            text = ""
        if not text.strip():
            text = extract(history[:upto], longest)
        text = _clipped(text.strip(), longest) + _last_words(history, upto)
        new = Compacted(upto=upto, shortened=max(old.shortened, upto), summary=text)
        if gains and self.tokens_of(view_of(history, new)) >= before:
            return False
        await self._record(history, new, before)
        return True

    async def _record(self, history: list[Message], new: Compacted, before: int) -> None:
        """Make it durable, then show it."""
        after = self.tokens_of(view_of(history, new))
        new = replace(new, tokens_before=before, tokens_after=after)
        await self.journal.compacted(new, self.meter.spent, self.view.become)


def _is_turn(message: Message) -> bool:
    """Whether a turn begins with this message: the user says something."""
    return message.role == "user" and is_boundary(message)


def _last_answer(history: Sequence[Message]) -> int:
    """Where the last answer of the model's begins: what is after it, it has not read."""
    for index in range(len(history) - 1, -1, -1):
        if history[index].role == "assistant":
            return index
    return 0


def _last_words(history: Sequence[Message], upto: int) -> str:
    """What the user said last, where that is in the part that is left out."""
    if any(map(_is_turn, history[upto:])):
        return ""
    last = next((message for message in reversed(history[:upto]) if _is_turn(message)), None)
    if last is None or not last.text:
        return ""
    return f"\n\nThe user's last message was:\n{_clipped(last.text, _LONGEST_WORDS)}"


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}\n[…]"
