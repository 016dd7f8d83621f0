"""Permits: which calls of the step under way may run, and what those are told that may not."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import attrs
import msgspec

from wingman.api import Approver, PermissionRequest
from wingman.conversation import ToolUseBlock
from wingman.errors import ToolError
from wingman.run.asks import Asks
from wingman.run.gate import Gate
from wingman.store import RunRecord
from wingman.tools import Tool

__all__ = ["Permits"]

_MAY_HAVE_RUN: Final = (
    "Interrupted: the server died before this call had ended. It may have run, in part or whole."
)
_LONGEST_NOTE: Final = 2_000  # characters of an edited input, as the model is told of it


@attrs.define(eq=False)
class Permits:
    """The permits of one run. `gate` has its rules, `asks` the requests of its step under way, and
    `record` is the run as it was admitted.

    An `approver` answers them, beside those who answer from outside.
    """

    gate: Gate
    asks: Asks
    tools: Mapping[str, Tool]
    record: RunRecord
    approver: Approver | None = None
    _refusals: dict[str, str] = attrs.field(factory=dict)

    async def judge(
        self, record: RunRecord, blocks: Sequence[ToolUseBlock]
    ) -> tuple[PermissionRequest, ...]:
        """Look at the calls of a step, and return the requests for those that need an answer."""
        self._refusals.clear()
        requests: list[PermissionRequest] = []
        if len(blocks) > 1:
            await self.gate.look_at((self.tools.get(block.name), block) for block in blocks)
        for block in blocks:
            verdict = await self.gate.judge(record, self.tools.get(block.name), block)
            if verdict.refusal is not None:
                self._refusals[block.id] = verdict.refusal
            if verdict.request is not None:
                requests.append(verdict.request)
        return tuple(requests)

    def resume(self, blocks: Sequence[ToolUseBlock]) -> None:
        """These calls of a step that an earlier process began have no result. Those that wait still
        do; of the others it is not known whether they have run."""
        for block in blocks:
            ask = self.asks.of_call(block.id)
            allowed = ask is not None and ask.earlier and ask.request.status == "allowed"
            if ask is None or allowed or ask.is_question:
                self._refusals[block.id] = _MAY_HAVE_RUN

    def waits(self, block: ToolUseBlock) -> bool:
        """Whether this call waits for an answer. Raises `ToolError` where it may not run."""
        refusal = self._refusals.get(block.id)
        if refusal is not None:
            raise ToolError(refusal)
        ask = self.asks.of_call(block.id)
        return ask is not None and not ask.is_question

    async def admit(self, block: ToolUseBlock) -> tuple[ToolUseBlock, str]:
        """The call as it may run, once somebody has allowed it, and what the model is told of that.

        Raises `ToolError` where it may not run.
        """
        ask = self.asks.of_call(block.id)
        if ask is None:
            raise RuntimeError("only a call that waits is to be admitted")
        tool = self.tools.get(block.name)
        denies = partial(self.gate.denies, tool)
        request = await self.asks.wait(ask, denies, self.approver)
        if request.status != "allowed":
            raise ToolError(_refused(request))
        note = f"[The user says: {request.message}]" if request.message else ""
        if _is_edited(request, tool, block):
            edited = msgspec.json.encode(request.input).decode()
            if len(edited) > _LONGEST_NOTE:
                edited = f"{edited[:_LONGEST_NOTE]}…"
            note = f"[The user has changed the input of this call: {edited}]\n{note}".rstrip()
            block = msgspec.structs.replace(block, input=request.input)
        # It may have waited for days: the rules may be others since, and so may the files.
        denied = await denies(block.input)
        if denied is not None:
            raise ToolError(f"Not allowed: {denied} It has not run.")
        return block, note

    async def question(
        self, block: ToolUseBlock, words: str, schema: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """What a person answers to a call that runs; None where it is declined, or nobody is there
        to ask."""
        if self.gate.on_ask == "reject":
            return None
        request = self.gate.question(self.record, self.tools[block.name], block, words, schema)
        answer: Mapping[str, Any] | None = await self.asks.question(request, self.approver)
        return answer

    def allows(self, action: str, resource: str) -> bool:
        """Whether a call that runs may turn to this as well."""
        return self.gate.allows(action, resource)


def _is_edited(request: PermissionRequest, tool: Tool | None, block: ToolUseBlock) -> bool:
    """Whether a person has given another input. What the tool leaves out makes no other of it."""
    if request.input is None or request.input == block.input:
        return False
    return tool is None or tool.taken(request.input) != tool.taken(block.input)


def _refused(request: PermissionRequest) -> str:
    """What the model is told of a call that nobody has allowed."""
    if request.status == "expired":
        return "Not executed: this call needs the user's permission, and nobody answered in time."
    if request.status == "cancelled":
        return "Cancelled: the user cancelled this tool call. It has not run."
    if request.message:
        return f"Not executed: the user rejected this call, and says: {request.message}"
    return "Not executed: the user rejected this call. Do not try the same again."
