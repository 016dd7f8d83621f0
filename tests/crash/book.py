"""The clients' book: what they sent, and what they were told of it. What it has no answer for may
have happened or not, but then wholly.

It knows nothing of HTTP or of the database. `Findings` is where all that look for faults write.
"""

import re
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import attrs

from crash.plans import Plan

__all__ = ["Book", "Findings", "Known", "Sent"]

_PARTICULARS = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}|[\d.]+")


@attrs.define
class Findings:
    """What was found wrong, `kinds` of it and all, and how often each kind of thing was done.

    Findings that differ in ids and numbers alone are of one kind.
    """

    wrong: list[str] = attrs.field(factory=list)
    kinds: Counter[str] = attrs.field(factory=Counter)
    done: Counter[str] = attrs.field(factory=Counter)

    def check(self, holds: bool, otherwise: str) -> bool:
        """Note `otherwise` unless it `holds`; the first of its kind is said aloud.

        Returns whether it holds.
        """
        if holds or otherwise in self.wrong:
            return holds
        self.wrong.append(otherwise)
        kind = _PARTICULARS.sub("…", otherwise)[:80]
        self.kinds[kind] += 1
        if self.kinds[kind] == 1:
            print(f"  WRONG: {otherwise[:1000]}", flush=True)
        return False


@attrs.define(eq=False)
class Sent:
    """One message, however often it was sent.

    `after` are the messages that were acknowledged before it was first sent: it comes after them.
    `refused`: the server said that it keeps nothing of it. `over`: somebody was told of its end, or
    it was seen in a snapshot. `lost`: the server died before it had taken it.
    """

    number: int
    session: "Known"
    body: dict[str, Any]
    plan: Plan
    after: frozenset[int]
    sends: int = 0
    run_id: str | None = None
    answer: dict[str, Any] | None = None
    refused: bool = False
    over: bool = False
    lost: bool = False

    @property
    def waiting(self) -> bool:
        """Whether it may be in the mailbox, or in flight."""
        return not (self.over or self.lost or self.refused)

    @property
    def request_id(self) -> str | None:
        """Its idempotency key."""
        return self.body.get("request_id")

    def __str__(self) -> str:
        return f"message {self.number} (run {self.run_id}, session {self.session.id})"


@attrs.define(eq=False)
class Known:
    """A session whose creation was acknowledged, and what its clients know of it.

    `titles` are those it may have: the last that was acknowledged, and those sent since.
    """

    id: str
    log: Path
    followed: bool = False
    deleting: bool = False
    deleted: bool = False
    updating: bool = False
    titles: list[str | None] = attrs.field(factory=lambda: [None])
    sent: list[Sent] = attrs.field(factory=list)
    acknowledged: set[int] = attrs.field(factory=set)
    calls_under_way: dict[str, str] = attrs.field(factory=dict)  # tool_use id → run id

    @property
    def marks(self) -> Path:
        """The log of the calls that an MCP server ran."""
        return self.log.with_suffix(".marks")


@attrs.define
class Book:
    """All sessions and messages. Its methods also find contradictions in what clients are told.

    `store_fails`: in this life of the server, its storage fails for a while. `told_of_marks`: what
    kind of result each call of an MCP server has, by its mark.
    """

    logs: Path
    findings: Findings
    store_fails: bool = False
    sessions: dict[str, Known] = attrs.field(factory=dict)
    by_text: dict[str, Sent] = attrs.field(factory=dict)
    by_run: dict[str, Sent] = attrs.field(factory=dict)
    told_of_marks: dict[str, str] = attrs.field(factory=dict)
    _numbers: Any = attrs.field(factory=lambda: count(1))

    def number(self) -> int:
        """A number that no message has had."""
        return int(next(self._numbers))

    def created(self, session_id: str, followed: bool) -> Known:
        """A session's creation was acknowledged."""
        known = Known(session_id, self.logs / f"{session_id}.log", followed)
        self.sessions[session_id] = known
        return known

    def usable(self) -> list[Known]:
        """The sessions that nobody has asked to delete."""
        return [known for known in self.sessions.values() if not known.deleting]

    def sending(self, number: int, session: Known, body: dict[str, Any], plan: Plan) -> Sent:
        """A new message is about to be sent."""
        sent = Sent(number, session, body, plan, frozenset(session.acknowledged))
        session.sent.append(sent)
        self.by_text[body["message"]] = sent
        return sent

    def acknowledge(self, sent: Sent, run_id: str) -> None:
        """The server named the message's run."""
        same = sent.run_id in (None, run_id)
        self.findings.check(same, f"{sent} was told of a second run {run_id}")
        self.findings.check(not sent.refused, f"{sent} was refused, and then taken as {run_id}")
        sent.run_id = run_id
        sent.session.acknowledged.add(sent.number)
        self.by_run[run_id] = sent

    def answered(self, sent: Sent, answer: dict[str, Any]) -> None:
        """The server gave the run's result."""
        self.acknowledge(sent, answer["run_id"])
        same = sent.answer in (None, answer)
        self.findings.check(same, f"{sent} had two answers: {sent.answer} and {answer}")
        sent.answer = answer
        sent.over = True

    def refuse(self, sent: Sent) -> None:
        """The server said that it keeps nothing of the message."""
        taken = f"{sent} was taken, and then refused"
        self.findings.check(sent.run_id is None or sent.sends > 1, taken)
        sent.refused = sent.sends == 1

    def ended(self, run_id: str) -> None:
        """A receipt said that this run has stopped."""
        if run_id in self.by_run:
            self.by_run[run_id].over = True
