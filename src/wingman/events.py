"""What a run tells the world, as it happens: a closed union of frozen values.

Each is the `data` of one Server-Sent Event, whose `event:` is the class's `kind`. The
first of them are sent to everybody; `Thinking`, `Step` and `ToolProgress` to those who ask.
`Done` or `Error` is the last event of every run.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal, Self, TypeAlias

import msgspec

from wingman.conversation import Message, TextBlock, ToolResultBlock, ToolUseBlock, Usage

__all__ = [
    "Compacted",
    "Done",
    "Error",
    "Event",
    "Kind",
    "PermissionRequested",
    "PermissionResolved",
    "Result",
    "Steered",
    "Step",
    "StopReason",
    "Text",
    "Thinking",
    "ToolCallResult",
    "ToolProgress",
    "ToolResult",
    "ToolUse",
    "events_of",
    "summarize",
]

Kind: TypeAlias = Literal[
    "text",
    "tool_use",
    "tool_result",
    "permission_requested",
    "permission_resolved",
    "steered",
    "compacted",
    "done",
    "error",
    "thinking",
    "step",
    "tool_progress",
]

StopReason: TypeAlias = Literal[
    "end_turn",
    "step_limit",
    "time_limit",
    "token_limit",
    "max_tokens",
    "refusal",
    "cancelled",
    "interrupted",
]
"""Why a run ended. `interrupted`: the server died or was stopped under it."""


class ToolCallResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """One tool call of a run, with what it gave: `output` as the model read it, `structured` as a
    JSON value, if the tool has one."""

    id: str
    tool_name: str
    input: dict[str, Any]
    output: str
    is_error: bool
    structured: Any = None


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run came to. `response` is the text after the last tool result.

    `detail` says in words which limit struck, where one did, and how the tools had failed.
    `output` is the parsed response of an agent with an `output_schema`, where the run came to its
    end by itself (`end_turn`). `cost` is there if the prices of all its models are known.
    """

    run_id: str
    response: str
    stop_reason: StopReason
    steps: int
    tool_calls: tuple[ToolCallResult, ...]
    usage: Usage
    detail: str | None = None
    output: Any = None
    cost: float | None = None


class Text(msgspec.Struct, frozen=True):
    """A piece of the model's text."""

    kind: ClassVar[Kind] = "text"
    text: str


class ToolUse(msgspec.Struct, frozen=True):
    """The model asks for a tool call, and its input is complete."""

    kind: ClassVar[Kind] = "tool_use"
    id: str
    name: str
    input: dict[str, Any]


class ToolResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool call ended. `structured` is what it gave as a JSON value, if its tool has one."""

    kind: ClassVar[Kind] = "tool_result"
    tool_use_id: str
    content: str
    is_error: bool
    structured: Any = None

    @classmethod
    def of(cls, block: ToolResultBlock) -> Self:
        """The event of this result."""
        return cls(block.tool_use_id, block.content, block.is_error, block.structured)


class PermissionRequested(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool call waits until a person answers. `action` and `resources` say what it would do, and
    `always` what the answer `always` would grant. After a restart it comes again, with its id.

    With a `schema` it is a question of a tool that runs: the answer's `input` is to fit it."""

    kind: ClassVar[Kind] = "permission_requested"
    id: str
    run_id: str
    tool_use_id: str
    tool: str
    action: str
    resources: tuple[str, ...]
    always: tuple[str, ...]
    schema: dict[str, Any] | None = None


class PermissionResolved(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool call waits no more: it runs (`allowed`), or it does not. `message` is what the person
    told the model."""

    kind: ClassVar[Kind] = "permission_resolved"
    id: str
    run_id: str
    tool_use_id: str
    status: Literal["allowed", "rejected", "cancelled", "expired"]
    decision: Literal["once", "always", "reject"] | None = None
    message: str | None = None


class Compacted(msgspec.Struct, frozen=True):
    """The history was compacted: its models are shown `summary` in place of the first `upto`
    messages, and no long tool results before `shortened`. Tokens are estimates."""

    kind: ClassVar[Kind] = "compacted"
    upto: int
    shortened: int
    tokens_before: int
    tokens_after: int
    summary: str


class Steered(msgspec.Struct, frozen=True):
    """The run has read words of the user's that were sent to steer it: the message of the run
    `message_id`, which is no run of its own any more."""

    kind: ClassVar[Kind] = "steered"
    message_id: str
    text: str


class Done(msgspec.Struct, frozen=True):
    """The run ended; its data is the result itself."""

    kind: ClassVar[Kind] = "done"
    result: Result


class Error(msgspec.Struct, frozen=True):
    """The run failed (or this stream is cut while its run goes on: `shutting_down`, `resync`)."""

    kind: ClassVar[Kind] = "error"
    code: str
    message: str
    run_id: str


class Thinking(msgspec.Struct, frozen=True):
    """A piece of the model's reasoning, where the provider shows it."""

    kind: ClassVar[Kind] = "thinking"
    text: str


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """An inference begins, the `step`-th of its run from 1; `usage` is what went before.

    `cost` is what that costs, where the prices are known.
    """

    kind: ClassVar[Kind] = "step"
    step: int
    usage: Usage
    cost: float | None = None


class ToolProgress(msgspec.Struct, frozen=True):
    """A piece of what a running tool has to say, such as a command's output."""

    kind: ClassVar[Kind] = "tool_progress"
    tool_use_id: str
    text: str


Event: TypeAlias = (
    Text
    | ToolUse
    | ToolResult
    | PermissionRequested
    | PermissionResolved
    | Steered
    | Compacted
    | Done
    | Error
    | Thinking
    | Step
    | ToolProgress
)


def events_of(messages: Iterable[Message]) -> list[Event]:
    """The events that made these messages of a run, as far as a history has them."""
    events: list[Event] = []
    for message in messages:
        for block in message.content:
            match block:
                case TextBlock(text=text) if message.role == "assistant":
                    events.append(Text(text))
                case ToolUseBlock(id=id, name=name, input=input):
                    events.append(ToolUse(id, name, input))
                case ToolResultBlock():
                    events.append(ToolResult.of(block))
                case _:
                    pass
    return events


def summarize(
    run_id: str,
    messages: Sequence[Message],
    stop_reason: StopReason,
    steps: int,
    usage: Usage,
    detail: str | None = None,
    output: Any = None,
    cost: float | None = None,
) -> Result:
    """What a run came to, read off the messages that it added to the history.

    Its response is the text after the last tool result; a user's text in between, a demand to
    correct it, begins it anew once there is a correction.
    """
    response: list[str] = []
    uses: list[ToolUseBlock] = []
    results: dict[str, ToolResultBlock] = {}
    anew = False
    for message in messages:
        if message.role == "assistant":
            if anew:
                response.clear()
            anew = False
            response.append(message.text)
            uses += message.tool_uses
            continue
        found = [block for block in message.content if isinstance(block, ToolResultBlock)]
        anew = not found
        if found:
            response.clear()
            results.update((block.tool_use_id, block) for block in found)
    calls = tuple(
        ToolCallResult(
            use.id, use.name, use.input, result.content, result.is_error, result.structured
        )
        for use in uses
        if (result := results.get(use.id)) is not None
    )
    return Result(run_id, "".join(response), stop_reason, steps, calls, usage, detail, output, cost)
