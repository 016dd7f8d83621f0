"""A batch of changes, written a kind at a time: the same as one by one, with fewer statements."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from wingman.store.base import Change
from wingman.store.statements import WRITES

__all__ = ["write_in_order", "write_together"]

Wave: TypeAlias = Mapping[type[Change], Sequence[Change]]
"""Changes that may be written a kind at a time, in the order of `WRITES`."""

_RANK = {kind: rank for rank, kind in enumerate(WRITES)}


def write_in_order(connection: sqlite3.Connection, changes: Iterable[Change]) -> None:
    """Write these changes to the letter, one after the other."""
    for change in changes:
        _write(connection, {type(change): (change,)})


def write_together(connection: sqlite3.Connection, changes: Iterable[Change]) -> None:
    """Write these changes with few statements.

    Where all of them can be written, the tables come to hold what `write_in_order` leaves in them.
    Where one cannot, this raises, and perhaps for another one: then only the other way will tell.
    """
    for wave in _waves(changes):
        _write(connection, wave)


def _waves(changes: Iterable[Change]) -> Iterator[Wave]:
    """Sort changes into waves, each ending before one that would overtake an earlier change.

    The order of kinds is that of a session's life, so most batches are one wave.
    """
    wave: dict[type[Change], list[Change]] = {}
    reached: dict[str, int] = {}
    for change in changes:
        kind = type(change)
        rank, write = _RANK[kind], WRITES[kind]
        ids = write.about(change)
        room = rank if write.repeats else rank - 1
        if any(reached.get(id, -1) > room for id in ids):
            yield wave
            wave, reached = {}, {}
        wave.setdefault(kind, []).append(change)
        reached.update(dict.fromkeys(ids, rank))
    yield wave


def _write(connection: sqlite3.Connection, wave: Wave) -> None:
    for kind, write in WRITES.items():
        if changes := wave.get(kind):
            encoded = msgspec.json.encode(changes).decode()
            if r"\u0000" in encoded:
                _refuse_nul([id for change in changes for id in write.about(change)])
            for statement in write.statements:
                connection.execute(statement, (encoded,))


def _refuse_nul(ids: Sequence[str]) -> None:
    """SQLite would cut such an id at its NUL, and take it for another."""
    if any("\0" in id for id in ids):
        raise ValueError("an id has a NUL in it")
