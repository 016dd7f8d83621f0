"""What is shown to models of sessions and messages: all of it is bounded."""

import itertools
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from wingman.api import InProgress, PermissionRequest, RunFailure, RunView, SessionView, Status
from wingman.conversation import ImageBlock, Message, ToolResultBlock, ToolUseBlock
from wingman.errors import WingmanError
from wingman.events import Result
from wingman.server.mcp.values import (
    AgentRun,
    Question,
    ShownCall,
    ShownMessage,
    ShownProgress,
    ShownResult,
    ShownSession,
)

__all__ = [
    "answer_at",
    "cut",
    "shown_call",
    "shown_end",
    "shown_failure",
    "shown_message",
    "shown_progress",
    "shown_question",
    "shown_run",
    "shown_session",
]

T = TypeVar("T")

# Characters of a response, which stands in the answer twice: clients bound what one event may have,
# the official one by 1 MiB, and a character may take six bytes.
_LONGEST_RESPONSE: Final = 64_000
_LONGEST_OUTPUT: Final = 200_000  # bytes
_LONGEST_TEXT: Final = 2_000
_LONGEST_LINE: Final = 200
_MOST_BLOCKS: Final = 50


def cut(text: str, most: int) -> str:
    """The text, or its beginning."""
    return text if len(text) <= most else text[:most] + "…"


def shown_end(session_id: str, run_id: str, status: Status, result: Result) -> AgentRun:
    """A run that came to an end; `status` is where it stands."""
    output = result.output
    if output is not None and len(msgspec.json.encode(output)) > _LONGEST_OUTPUT:
        output = None  # its response has it, as far as that goes
    return AgentRun(
        session_id=session_id,
        run_id=run_id,
        status=status,
        response=cut(result.response, _LONGEST_RESPONSE),
        stop_reason=result.stop_reason,
        detail=_some(result.detail),
        output=UNSET if output is None else output,
        steps=result.steps,
        tool_calls=len(result.tool_calls),
        usage=result.usage,
        cost=_some(result.cost),
        cut=True if len(result.response) > _LONGEST_RESPONSE else UNSET,
    )


def shown_failure(session_id: str, run_id: str, status: Status, error: WingmanError) -> AgentRun:
    """A run that failed, or that could not be waited for."""
    return AgentRun(
        session_id=session_id,
        run_id=run_id,
        status=status,
        response="",
        error=RunFailure(error.code, error.message),
    )


def shown_run(run: RunView) -> AgentRun:
    """A run as a list has it: of a long text the beginning."""
    if run.result is not None:
        return shown_end(run.session_id, run.id, run.status, run.result)
    return AgentRun(
        session_id=run.session_id,
        run_id=run.id,
        status=run.status,
        response="",
        steps=run.steps,
        usage=run.usage,
        error=_some(run.error),
    )


def shown_session(view: SessionView, agent: str | None) -> ShownSession:
    """A session without its history, and the name of its agent."""
    return ShownSession(
        session_id=view.id,
        title=UNSET if view.title is None else cut(view.title, _LONGEST_LINE),
        agent=_some(agent),
        status=view.status,
        work_dir=view.work_dir,
        created_at=view.created_at.isoformat(),
        updated_at=view.updated_at.isoformat(),
        usage=view.usage,
    )


def shown_message(message: Message, most: int) -> ShownMessage:
    """A message, with about `most` characters of texts in all."""
    budget = _Budget(most)
    text = budget.take(message.text)
    calls = [
        ShownCall(one.id, one.name, budget.take(msgspec.json.encode(one.input).decode()))
        for one in budget.some(_of(message, ToolUseBlock))
    ]
    results = [
        ShownResult(one.tool_use_id, budget.take(one.content), one.is_error)
        for one in budget.some(_of(message, ToolResultBlock))
    ]
    images = len(_of(message, ImageBlock)) + sum(
        len(one.images) for one in _of(message, ToolResultBlock)
    )
    return ShownMessage(
        role=message.role,
        text=text,
        calls=tuple(calls) or UNSET,
        results=tuple(results) or UNSET,
        images=images or UNSET,
        cut=budget.over or UNSET,
    )


def _of(message: Message, kind: type[T]) -> list[T]:
    return [block for block in message.content if isinstance(block, kind)]


class _Budget:
    """How many characters may be shown yet. `over`: something was left out."""

    def __init__(self, most: int) -> None:
        self._left = most
        self.over = False

    def take(self, text: str) -> str:
        shown = cut(text, self._left)
        self._left = max(0, self._left - len(shown))
        self.over = self.over or shown is not text
        return shown

    def some(self, blocks: Sequence[T]) -> Sequence[T]:
        self.over = self.over or len(blocks) > _MOST_BLOCKS
        return blocks[:_MOST_BLOCKS]


def shown_progress(progress: InProgress) -> ShownProgress:
    """The step under way."""
    calls = (f"{one.name}: {one.state}" for one in progress.calls)
    return ShownProgress(
        progress.run_id,
        progress.step,
        cut(progress.text, _LONGEST_TEXT),
        tuple(itertools.islice(calls, _MOST_BLOCKS)),
    )


def shown_question(request: PermissionRequest) -> Question:
    """A call that waits for a person."""
    resources = tuple(cut(one, _LONGEST_LINE) for one in request.resources[:_MOST_BLOCKS])
    return Question(request.id, request.tool, resources, answer_at(request.session_id, request.id))


def answer_at(session_id: str, permission_id: str) -> str:
    """Where a person answers."""
    return f"POST /sessions/{session_id}/permissions/{permission_id}"


def shown_call(name: str, input: object) -> str:
    """A tool call in one line."""
    return f"{name} {cut(msgspec.json.encode(input).decode(), _LONGEST_LINE)}"


def _some(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value
