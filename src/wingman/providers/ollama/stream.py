"""What Ollama's chat API streams, as parts: pure and stateful, no network.

NDJSON: each line has a piece of the message, whole tool calls, or an `error` though the status was
200. The last line is `done`, and has the counts and the reason.
Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from collections.abc import Iterator
from typing import Final

from wingman.conversation import ThinkingBlock, ToolUseBlock, Usage
from wingman.providers.base import (
    Finished,
    FinishReason,
    Part,
    TextDelta,
    ThinkingDelta,
    UsageUpdate,
)
from wingman.providers.wire import (
    CallIds,
    Characters,
    HeldCalls,
    Json,
    ToolNames,
    arguments_text,
    count,
    fields,
    finish_reason,
    items,
    object_in,
    reason_word,
    reported,
    text,
    tool_use,
    word,
)
from wingman.sse import Fault

__all__ = ["ID", "OllamaTranslator"]

ID: Final = "ollama"
"""The provider's id, and whose the reasoning is."""

_LOADED: Final = frozenset({"load", "unload"})
"""Why a request without a prompt ends: it was but to load the model."""


class OllamaTranslator:
    """Lines of one answer in, parts out. `names` are those of the tools."""

    def __init__(self, ids: CallIds, names: ToolNames | None = None) -> None:
        self.finished = False
        self._ids = ids
        self._names = names or ToolNames()
        self._text = Characters()
        self._thinking: list[str] = []
        self._thought = Characters()
        self._calls = HeldCalls()
        self._said = False  # whether anything has come of the answer
        self._called = False
        self._reason: FinishReason = "end_turn"

    def feed(self, line: bytes) -> Iterator[Part]:
        """Return the parts that this line brings."""
        if (said := object_in(line)) is None:
            return
        if (fault := reported(said, "done", "model")) is not None:
            raise fault
        if said.get("message") is not None:
            yield from self._message(fields(said["message"]))
        if said.get("done") is True:
            yield from self._done(said)

    def end(self) -> Iterator[Part]:
        """Return `Finished`; raise `Fault` if the answer is not complete."""
        if not self.finished:
            raise Fault("its stream ended before the answer did")
        yield from self._close_thinking()
        if rest := self._text.end():
            yield TextDelta(rest)
        calls = self._called and self._reason == "end_turn"
        yield Finished("tool_use" if calls else self._reason)

    def _done(self, line: Json) -> Iterator[Part]:
        self.finished = True
        reason, output = reason_word(line.get("done_reason")), count(line.get("eval_count"))
        if reason is not None and reason not in _LOADED:
            self._reason = finish_reason(reason, "the answer")
        yield from self._calls.release(cut=self._reason in ("max_tokens", "refusal"))
        if reason is None and not self._said and not output:
            raise Fault("its stream has nothing in it but its end")
        yield UsageUpdate(Usage(count(line.get("prompt_eval_count")) or 0, output or 0))

    def _message(self, message: Json) -> Iterator[Part]:
        thinking = message.get("thinking")
        if isinstance(thinking, str) and (thought := self._thought.feed(thinking)):
            self._said = True
            self._thinking.append(thought)
            yield ThinkingDelta(thought)
        if said := self._text.feed(text(message.get("content"), "a message's content")):
            self._said = True
            yield from self._close_thinking()
            yield from self._calls.release()
            yield TextDelta(said)
        for call in items(message.get("tool_calls"), "tool_calls"):
            yield from self._close_thinking()
            self._said = self._called = True
            yield from self._calls.add(self._call(call))

    def _call(self, call: Json) -> ToolUseBlock:
        function = fields(call.get("function")) or call
        name = self._names.own(word(function.get("name")))
        id = self._ids.unique(word(call.get("id")))
        return tool_use(id, name, arguments_text(function.get("arguments")))

    def _close_thinking(self) -> Iterator[Part]:
        if rest := self._thought.end():
            self._thinking.append(rest)
            yield ThinkingDelta(rest)
        if self._thinking:
            yield ThinkingBlock("".join(self._thinking), provider=ID)
            self._thinking.clear()
