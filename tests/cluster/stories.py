"""Random stories: short ones with few faults first, each fault in the middle of something."""

from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

from cluster.faults import (
    AT_BIRTHS,
    AT_CLAIMS,
    AT_COMMITS,
    OFTEN,
    Crash,
    Cut,
    Deed,
    Fault,
    Hold,
    Kill,
    Partition,
    Pause,
    Stall,
    Stop,
    Terminate,
    Trouble,
)
from cluster.world import SLOTS, Message, Story

__all__ = ["lost_at", "slow", "slow_at", "still", "stories", "stories_of"]

_SECONDS: Final = st.sampled_from((0.05, 0.6, 1.5, 3.0, 6.0, 9.5, 12.0))
_LONG: Final = st.sampled_from((1.5, 3.0, 9.0, 9.5, 12.0))
_LEARNS: Final = st.sampled_from((0.0, 0.3, 2.0, 5.0, 9.0, 20.0))

_LOSSES: Final[st.SearchStrategy[Deed]] = st.one_of(
    st.builds(Cut, _LEARNS, _LEARNS, arrives=st.booleans()),
    st.just(Terminate()),
    st.builds(Crash, _LEARNS),
    st.builds(Partition, _SECONDS, cut=st.booleans()),
)
_DEEDS: Final[st.SearchStrategy[Deed]] = st.one_of(
    st.builds(Pause, _SECONDS),
    _LOSSES,
    st.builds(Kill, _SECONDS),
    st.builds(Stop, _SECONDS),
    st.builds(Hold, _LEARNS),
    st.builds(Stall, _SECONDS),
)

_SLOTS: Final = st.integers(0, SLOTS - 1)
_SOON: Final = st.integers(0, 3)
_ANYWHERE: Final = st.one_of(
    st.builds(Fault, st.sampled_from((*AT_COMMITS, *AT_CLAIMS)), _SOON, _DEEDS),
    st.builds(Fault, st.sampled_from(AT_BIRTHS), st.integers(0, 1), _DEEDS),
    st.builds(Fault, st.sampled_from(OFTEN), st.integers(0, 30), _DEEDS),
)


def lost_at(
    *places: str,
    then: Sequence[str] = AT_BIRTHS,
    by: st.SearchStrategy[Deed] | None = None,
    after: int = 3,
) -> st.SearchStrategy[Trouble]:
    """A connection is lost at one of these places; on the way back, at others, something else."""
    first = st.builds(Fault, st.sampled_from(places), st.integers(0, after), _LOSSES)
    deeds = st.one_of(_LOSSES, _DEEDS) if by is None else by
    later = st.builds(Fault, st.sampled_from(then), st.just(0), deeds)
    return st.builds(
        lambda slot, first, later: Trouble(slot, (first, *later)),
        _SLOTS,
        first,
        st.lists(later, max_size=3),
    )


def slow_at(*places: str, after: int = 3) -> st.SearchStrategy[Trouble]:
    """Something takes its time at one of these places."""
    slow = st.builds(
        Fault, st.sampled_from(places), st.integers(0, after), st.builds(Pause, _SECONDS)
    )
    return st.builds(Trouble, _SLOTS, st.tuples(slow))


def slow(*seconds: float) -> st.SearchStrategy[Deed]:
    """What is there takes so long."""
    return st.builds(Pause, st.sampled_from(seconds))


def still() -> st.SearchStrategy[Trouble]:
    """A node does not go on for a while, or nobody does, and loses nothing."""
    deed = st.one_of(st.builds(Hold, _LONG), st.builds(Stop, _LONG), st.builds(Stall, _LONG))
    first = st.builds(Fault, st.sampled_from((*AT_COMMITS, "second")), st.integers(0, 9), deed)
    return st.builds(Trouble, _SLOTS, st.tuples(first))


_ANY_TROUBLE: Final = st.one_of(
    lost_at(*AT_COMMITS), st.builds(Trouble, _SLOTS, st.tuples(_ANYWHERE))
)


def _messages(work: Sequence[float | None]) -> st.SearchStrategy[Message]:
    return st.builds(
        Message,
        at=st.integers(2, 30).map(lambda halves: halves / 2),
        session=st.sampled_from("ab"),
        slot=_SLOTS,
        work=st.sampled_from(work),
        leaves=st.booleans(),
    )


_WORK: Final = (0.0, 0.3, 2.0, 6.0)
_JITTER: Final = st.sampled_from((0.0, 0.02, 0.05, 0.1))

stories: Final = st.builds(
    Story,
    st.lists(_messages((*_WORK, *_WORK, None)), min_size=1, max_size=20),
    st.lists(_ANY_TROUBLE, max_size=6),
    _JITTER,
    st.integers(0, 2**16),
)
"""Any."""


def stories_of(
    trouble: st.SearchStrategy[Trouble], *, erasing: bool = False
) -> st.SearchStrategy[Story]:
    """Stories with much of one kind of trouble; where sessions are erased, often."""
    return st.builds(
        Story,
        st.lists(_messages((*_WORK, None) if erasing else _WORK), min_size=6, max_size=20),
        st.lists(st.one_of(trouble, trouble, _ANY_TROUBLE), min_size=1, max_size=5),
        _JITTER,
        st.integers(0, 2**16),
    )
