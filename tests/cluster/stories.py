"""Random stories: short ones with few faults first, each fault in the middle of something."""

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

__all__ = ["stories"]

_SECONDS: Final = st.sampled_from((0.05, 0.6, 1.5, 3.0, 6.0, 9.5, 12.0))
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
    st.builds(Fault, st.just("looking"), st.integers(0, 30), st.builds(Pause, _SECONDS)),
)
# A connection is lost, and while the node comes back, the next thing happens.
_ON_THE_WAY_BACK: Final = st.builds(
    lambda loss, later: (loss, *later),
    st.builds(Fault, st.sampled_from(AT_COMMITS), _SOON, _LOSSES),
    st.lists(
        st.builds(Fault, st.sampled_from(AT_BIRTHS), st.just(0), st.one_of(_LOSSES, _DEEDS)),
        max_size=3,
    ),
)
_TROUBLES: Final = st.builds(Trouble, _SLOTS, st.one_of(_ON_THE_WAY_BACK, st.tuples(_ANYWHERE)))
_MESSAGES: Final = st.builds(
    Message,
    at=st.integers(2, 30).map(lambda halves: halves / 2),
    session=st.sampled_from("ab"),
    slot=_SLOTS,
    work=st.sampled_from((0.0, 0.3, 2.0, 6.0, 0.0, 0.3, 2.0, None)),
)

stories: Final = st.builds(
    Story,
    st.lists(_MESSAGES, min_size=1, max_size=20),
    st.lists(_TROUBLES, max_size=6),
    st.sampled_from((0.0, 0.02, 0.05, 0.1)),
    st.integers(0, 2**16),
)
