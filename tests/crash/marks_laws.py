"""What must hold of an MCP server's calls after a kill, and of the log of those that really ran."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from crash.book import Book
from crash.marks import CALL_SECONDS, NAME, TOOL
from crash.snapshot import Rows, Snapshot, tool_results, tool_uses

__all__ = ["check_marks"]

_NOT_EXECUTED: Final = re.compile(
    r"The call was not executed\.|There is no tool named |.* has not run\.$", re.DOTALL
)
_UNCERTAIN: Final = re.compile(
    r"Cancelled: |Interrupted: |"
    r"The call was in flight, and may have had its effect\. |"
    rf"The MCP server '{NAME}' has not answered within {CALL_SECONDS:g} s\."
)


def check_marks(snapshot: Snapshot, book: Book) -> None:
    """No call ran twice, none unseen; each result is that of its call, and says what is true."""
    for known in book.sessions.values():
        rows = snapshot.sessions.get(known.id)
        ran = known.marks.read_text().splitlines() if known.marks.exists() else []
        twice = [mark for mark, times in Counter(ran).items() if times > 1]
        book.findings.check(not twice, f"session {known.id}: MCP calls {twice} ran more than once")
        if rows is not None and not rows.deleting:
            _check_calls(rows, set(ran), book)


def _check_calls(rows: Rows, ran: set[str], book: Book) -> None:
    recorded: set[str] = set()
    for run in rows.runs:
        messages = [*run.added, *(value["message"] for value in run.pending if "message" in value)]
        results = {r["tool_use_id"]: r for message in run.added for r in tool_results(message)}
        for use in [use for message in messages for use in tool_uses(message)]:
            if use["name"] != TOOL:
                continue
            recorded.add(use["input"]["mark"])
            result = results.get(use["id"])
            if result is not None:
                _check_result(use["input"], result, ran, book)
    unseen = sorted(ran - recorded)
    book.findings.check(not unseen, f"session {rows.id}: MCP calls {unseen} ran, no row has them")


def _check_result(
    given: Mapping[str, Any], result: Mapping[str, Any], ran: set[str], book: Book
) -> None:
    mark, how, said = given["mark"], given.get("how", ""), result["content"]
    where = f"MCP call {mark} ({how}, {'ran' if mark in ran else 'did not run'}): {said[:300]}"
    own = {"fail": f"failed {mark}", "hang": None, "die": None}.get(how, f"marked {mark}")
    if how == "refuse":
        own = f"The MCP server answered with an error: refused {mark}"
    if own is not None and said.startswith(own):
        kind = "answered"
        wrong = how in ("fail", "refuse")
        book.findings.check(result["is_error"] == wrong and mark in ran, where)
    elif _NOT_EXECUTED.match(said):
        kind = "not executed"
        book.findings.check(result["is_error"] and mark not in ran, where)
    elif _UNCERTAIN.match(said):
        kind = _kind(said)
        book.findings.check(result["is_error"], where)
    else:
        kind = "something else"
        book.findings.check(False, where)
    book.told_of_marks[mark] = kind


def _kind(said: str) -> str:
    return said.partition(":")[0] if said.partition(" ")[0].endswith(":") else "may have run"
