"""What must hold at a story's end, by the database's own record."""

from collections import Counter
from itertools import permutations
from typing import Final

from cluster.model_node import Live
from cluster.world import World

__all__ = ["IN_TIME", "LEFT", "NOT_ENDED", "SAFETY", "Violation", "judge"]

OWNER_ALONE: Final = "a session is written by its owner alone"
KNOWS_ALL: Final = "whoever writes a session knows all of it"
NOT_MADE: Final = "what is said not to have been made is not made"
ONCE: Final = "nothing is written twice"
KEPT: Final = "nothing that was acknowledged is lost"
SAFETY: Final = frozenset((OWNER_ALONE, KNOWS_ALL, NOT_MADE, ONCE, KEPT))
NOT_ENDED: Final = "no node is ended that goes on"
IN_TIME: Final = "all comes to its end in time"
LEFT: Final = "a node leaves what it has lost"

LEFT_WITHIN: Final = 8.5
"""Seconds that a session may stay in a node's memory while another node has it, unless stopped."""

QUIET_FOR: Final = 4.0
"""Seconds for which a node must have committed nothing before another ends it."""


class Violation(AssertionError):
    """A rule was broken."""

    def __init__(self, rule: str, what: object) -> None:
        super().__init__(f"{rule}: {what}")
        self.rule = rule


def judge(world: World) -> None:
    """Raise the first `Violation` of a story that has been told."""
    records = [record for rows in world.server.rows.values() for record in rows]
    for record in records:
        if record.by != record.owner:
            raise Violation(OWNER_ALONE, record)
        if record.written.knows != record.before:
            raise Violation(KNOWS_ALL, record)
        if record.written.call in world.refused:
            raise Violation(NOT_MADE, record)
    rows = Counter((row.written.session, row.written.what, row.written.message) for row in records)
    calls = Counter(record.written.call for record in records)
    for what, times in (*rows.items(), *calls.items()):
        if times > 1:
            raise Violation(ONCE, what)
    for session, message in world.acknowledged:
        if (session, "queued", message) not in rows:
            raise Violation(KEPT, (session, message))
    for ended_at, committed_at in world.server.ended_as_stale:
        if ended_at - committed_at < QUIET_FOR:
            raise Violation(NOT_ENDED, (ended_at, committed_at))
    if world.is_late:
        raise Violation(IN_TIME, (world.unanswered, world.unfinished()))
    for one, other in permutations(world.lives, 2):
        if one.session == other.session and one.node is not other.node:
            _judge_lives(world, one, other)


def _judge_lives(world: World, one: Live, other: Live) -> None:
    """A node that runs leaves a session soon after another node has it."""
    since, until = other.opened_at, _end(world, one)
    if one.opened_at > since:
        return
    stopped = sum(
        max(0.0, min(end, until) - max(begin, since))
        for process, begin, end in world.stops
        if process is one.node.process
    )
    if until - since - stopped > LEFT_WITHIN:
        raise Violation(LEFT, (one.session, since, until))


def _end(world: World, live: Live) -> float:
    return world.time.now if live.closed_at is None else live.closed_at
