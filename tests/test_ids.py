"""Ids are ULIDs: they sort in the order they were made, and none comes twice."""

import os
import re
import threading
from itertools import pairwise

import pytest

from wingman.ids import Ids, new_id

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def number(id: str) -> int:
    value = 0
    for digit in id:
        value = value << 5 | DIGITS.index(digit)
    return value


class Randomness:
    """Counts how often the system is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, size: int) -> bytes:
        self.asked += 1
        return os.urandom(size)


def test_an_id_is_a_ulid_with_the_time_in_front() -> None:
    id = Ids(lambda: 1_469_918_176_385).new()
    assert ULID.fullmatch(id)
    assert id.startswith("01ARYZ6S41")  # the example of the specification


def test_the_randomness_fills_the_rest() -> None:
    ones = Ids(lambda: 0, lambda size: b"\xff" * size)
    ones._last = -1
    assert ones.new() == "0" * 10 + "Z" * 16
    assert number(ones.new()) == 2**80 + 2**32 - 1, "what overflows is carried into the time"


def test_ids_of_one_process_sort_in_the_order_they_were_made() -> None:
    made = [new_id() for _ in range(20_000)]
    assert made == sorted(set(made))
    assert all(map(ULID.fullmatch, made))


def test_ids_sort_also_where_the_clock_stands_or_goes_back() -> None:
    times = [5_000] * 1_000 + [4_000] * 1_000 + [0] * 10 + [5_001] * 10
    clock = iter(times)
    ids = Ids(lambda: next(clock))
    made = [ids.new() for _ in times]
    assert made == sorted(set(made))


def test_the_next_id_of_a_millisecond_cannot_be_told_from_the_last() -> None:
    ids = Ids(lambda: 5_000)
    made = [number(ids.new()) for _ in range(1_000)]
    steps = {after - before for before, after in pairwise(made)}
    assert len(steps) > 900


def test_the_system_is_asked_for_randomness_once_for_many_ids() -> None:
    randomness = Randomness()
    clock = iter(range(1, 10_000))
    ids = Ids(lambda: next(clock), randomness)
    for _ in range(2_000):
        ids.new()
    assert randomness.asked <= 5


def test_threads_never_get_the_same_id() -> None:
    made: list[list[str]] = []

    def work() -> None:
        made.append([new_id() for _ in range(5_000)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [id for each in made for id in each]
    assert len(set(everything)) == len(everything) == 20_000
    assert all(each == sorted(each) for each in made)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_makes_other_ids_than_its_parent() -> None:
    new_id()  # there is randomness at hand, which the fork copies
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, "\n".join(new_id()[10:] for _ in range(300)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        its = pipe.read().decode().split("\n")
    ours = [new_id()[10:] for _ in range(300)]
    assert len(its) == 300
    assert not {id[:8] for id in its} & {id[:8] for id in ours}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_is_forked_while_an_id_is_made_makes_its_own() -> None:
    from wingman import ids

    with ids._ids._lock:  # another thread is just making one
        child = os.fork()
        if child == 0:
            os._exit(0 if ULID.fullmatch(new_id()) else 1)
        assert os.waitpid(child, 0)[1] == 0
