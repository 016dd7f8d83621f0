"""The ownership protocol in random stories: claims, deaths, slow commits, partitions; virtual time.

A story is told by the protocol as it is, and nothing may go wrong in any; and by protocols that
lack an element each, and then something must, or the simulation would see nothing.
`WINGMAN_STORIES` says how many are told of the whole protocol.
"""

import os
from typing import Final

import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from cluster import mutants
from cluster.faults import AT_COMMITS
from cluster.judge import IN_TIME, LEFT, NOT_ENDED, SAFETY, Violation, judge
from cluster.protocol import Protocol
from cluster.stories import lost_at, slow, slow_at, still, stories, stories_of
from cluster.world import Story, World


@pytest.fixture(autouse=True)
def quick() -> None:
    """Nodes take the time that they take in earnest: it is virtual."""


def tell(story: Story, protocol: Protocol) -> None:
    """Let a story happen, and raise the first `Violation` of a rule."""
    world = World(story, protocol)
    world.run()
    judge(world)


STORIES: Final = int(os.environ.get("WINGMAN_STORIES", "50"))

OPEN: Final = ("marked", "written", "flushing")
AWAY: Final = ("lost", "dialled", "old ended")

FOCUS: Final[dict[type[Protocol], st.SearchStrategy[Story]]] = {
    mutants.WithoutFence: stories_of(lost_at(*AT_COMMITS, then=AWAY, by=slow(1.5, 3.0, 6.0))),
    mutants.LockElsewhere: stories_of(slow_at(*OPEN)),
    mutants.RowBeforeLock: stories_of(lost_at("sending", then=("registered",), by=slow(0.6, 1.5))),
    mutants.LocksBeforeRows: stories_of(slow_at("looking", after=9)),
    mutants.ClaimWithoutComparing: stories_of(slow_at("claiming", *OPEN)),
    mutants.NoWaitForTheOldBackend: stories_of(lost_at("written")),
    mutants.OldBackendToldAlone: stories_of(lost_at("written", "flushing")),
    mutants.TakeAlongWithoutComparing: stories_of(
        lost_at(*AT_COMMITS, then=AWAY, by=slow(0.6, 1.0, 1.5))
    ),
    mutants.ReleaseBesideTheWriter: stories_of(slow_at(*OPEN)),
    mutants.ClaimOnlyWhatIsNotOurs: stories_of(lost_at(*AT_COMMITS)),
    mutants.LostAnswersAreFailures: stories_of(lost_at("committed")),
    mutants.TheNewestRowIsAsked: stories_of(
        lost_at("committed", then=("registered", "taking along"))
    ),
    mutants.AbandonedSessionsGoOn: stories_of(lost_at(*AT_COMMITS, then=AWAY, by=slow(3.0, 6.0))),
    mutants.NothingIsGivenUp: stories_of(lost_at(*AT_COMMITS)),
    mutants.EndedByTimeAlone: stories_of(slow_at("looking", after=9)),
    mutants.LeftoversAreNobodys: stories_of(still()),
    mutants.WhatIsErasedIsOurs: stories_of(
        lost_at(*AT_COMMITS, then=AWAY, by=slow(3.0, 6.0)), erasing=True
    ),
}
"""Each protocol that lacks something, with stories of the kind that it goes wrong in."""

SEEDS: Final[dict[type[Protocol], int]] = {
    mutants.WithoutFence: 4,
    mutants.LockElsewhere: 1,
    mutants.RowBeforeLock: 1,
    mutants.LocksBeforeRows: 1,
    mutants.ClaimWithoutComparing: 5,
    mutants.NoWaitForTheOldBackend: 7,
    mutants.OldBackendToldAlone: 5,
    mutants.TakeAlongWithoutComparing: 2,
    mutants.ReleaseBesideTheWriter: 6,
    mutants.ClaimOnlyWhatIsNotOurs: 3,
    mutants.LostAnswersAreFailures: 5,
    mutants.TheNewestRowIsAsked: 7,
    mutants.AbandonedSessionsGoOn: 5,
    mutants.NothingIsGivenUp: 5,
    mutants.EndedByTimeAlone: 6,
    mutants.LeftoversAreNobodys: 2,
    mutants.WhatIsErasedIsOurs: 0,
}
"""With these it is found soon; with any other it takes a few dozen stories more."""

RULES: Final[dict[type[Protocol], frozenset[str]]] = {
    mutants.TakeAlongWithoutComparing: SAFETY | {LEFT},
    mutants.AbandonedSessionsGoOn: SAFETY | {LEFT},
    mutants.NothingIsGivenUp: frozenset((LEFT,)),
    mutants.EndedByTimeAlone: frozenset((NOT_ENDED,)),
    mutants.LeftoversAreNobodys: frozenset((IN_TIME,)),
}
"""What they break, where it is not only rules of safety."""


@settings(max_examples=STORIES, deadline=None, derandomize=True)
@given(st.one_of(stories, *FOCUS.values()))
def test_whatever_happens_a_session_has_one_owner_and_its_work_is_done_once(story: Story) -> None:
    tell(story, Protocol())


@pytest.mark.parametrize("mutant", FOCUS)
def test_the_simulation_finds_what_goes_wrong_without_an_element(mutant: type[Protocol]) -> None:
    rules = RULES.get(mutant, SAFETY)

    @seed(SEEDS[mutant])
    @settings(max_examples=400, deadline=None, database=None, phases=[Phase.generate])
    @given(FOCUS[mutant])
    def find(story: Story) -> None:
        try:
            tell(story, mutant())
        except Violation as violation:
            if violation.rule in rules:
                raise

    with pytest.raises(Violation):
        find()
