"""Lines to standard error: written in order, and waited for by nobody."""

import fcntl
import logging
import os
import select
import time
from collections.abc import Iterator

import pytest

from wingman.telemetry.lines import TextLines
from wingman.telemetry.writer import LineHandler, LineWriter

PATIENCE = 5.0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    yield reading, os.dup(writing)
    os.close(writing)
    os.close(reading)


def read(reading: int, wanted: bytes) -> bytes:
    """Read until this has come."""
    data = b""
    end = time.monotonic() + PATIENCE
    while wanted not in data:
        ready, _, _ = select.select([reading], [], [], end - time.monotonic())
        assert ready, data[-500:]
        data += os.read(reading, 65536)
    return data


def test_lines_come_in_order(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    writer = LineWriter(writing)
    for number in range(100):
        writer.put(b"%d\n" % number)
    assert read(reading, b"99\n").split() == [b"%d" % number for number in range(100)]
    assert writer.wait(PATIENCE)
    writer.close()


def test_a_reader_that_stops_makes_nobody_wait_and_is_told_what_was_dropped(
    pipe: tuple[int, int],
) -> None:
    reading, writing = pipe
    handler = LineHandler(writing)
    handler.setFormatter(TextLines())
    logger = logging.Logger("wingman.test", logging.INFO)
    logger.addHandler(handler)
    began = time.monotonic()
    for number in range(3_000):  # three times as much as is held
        logger.info("%d %s", number, "x" * 1_000)
    assert time.monotonic() - began < PATIENCE
    assert not handler.wait(0)
    held = read(reading, b" 500 ")
    while not handler.wait(0):
        held += os.read(reading, 65536)
    logger.info("and on")
    said = held + read(reading, b"and on\n")
    assert b"log lines were dropped: standard error did not take them lines=" in said
    lost = int(said.split(b"lines=")[1].split()[0])
    shown = said.count(b"wingman.test: ") - 1
    assert shown + lost == 3_000
    assert 0 < shown < 1_500
    handler.close()


@pytest.mark.parametrize("place", ["/dev/full", "closed"])
def test_lines_that_cannot_be_written_are_dropped(place: str) -> None:
    if place == "closed":
        reading, writing = os.pipe()
        os.close(reading)
    else:
        writing = os.open(place, os.O_WRONLY)
    writer = LineWriter(writing)
    for _ in range(3):
        writer.put(b"line\n")
        assert writer.wait(PATIENCE)
    assert writer.take_lost() == 3
    assert writer.take_lost() == 0
    writer.close()


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    writer = LineWriter(writing)
    writer.put(b"x" * 50_000 + b"end\n")
    assert len(read(reading, b"end\n")) == 50_004
    writer.close()


def test_a_line_that_cannot_be_made_is_told_of(pipe: tuple[int, int]) -> None:
    class Bad:
        def __str__(self) -> str:
            raise ValueError("no text")

    reading, writing = pipe
    handler = LineHandler(writing)
    handler.setFormatter(TextLines())
    logger = logging.Logger("wingman.test", logging.INFO)
    logger.addHandler(handler)
    logger.info("it is %s", Bad())
    logger.info("too %d", "few")
    said = read(reading, b"TypeError\n")
    assert said.count(b"a log line could not be made place=wingman.test error=") == 2
    handler.close()


def test_the_end_writes_what_is_held_and_closes(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    handler = LineHandler(writing)
    handler.setFormatter(TextLines())
    for _ in range(200):
        handler.handle(logging.LogRecord("wingman.test", 20, "", 0, "x" * 100, None, None))
    handler.close()
    handler.handle(logging.LogRecord("wingman.test", 20, "", 0, "too late", None, None))
    said = b""
    end = time.monotonic() + PATIENCE
    while said.count(b"\n") < 200 and time.monotonic() < end:
        said += os.read(reading, 65536)
    assert said.count(b"\n") == 200
    assert b"too late" not in said
