"""How log records look: a record is a line, whatever is in it."""

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

from wingman.telemetry import log_event
from wingman.telemetry.lines import NOTICES, JsonLines, TextLines

FORGED = "x\n2026-01-01T00:00:00.000Z ERROR   wingman.server: forged"
NASTY = [
    FORGED,
    "a\r\nb",
    "\x1b[2J\x1b[1;31mred",
    "\x9b31m",
    "a\u2028b\u2029c\x85d",
    "\u202egnp.exe",
    "nul\0",
    "half \ud800",
    '" quote=" run_id=0',
    "back\\slash",
]


class Kept(logging.Handler):
    """Keeps what a formatter makes of each record."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def lines_of(formatter: logging.Formatter, say: Callable[[logging.Logger], Any]) -> str:
    logger = logging.Logger("wingman.test", logging.DEBUG)
    kept = Kept(formatter)
    logger.addHandler(kept)
    say(logger)
    (line,) = kept.lines
    return line


def text(say: Callable[[logging.Logger], Any]) -> str:
    return lines_of(TextLines(), say)


def parsed(say: Callable[[logging.Logger], Any]) -> dict[str, Any]:
    line = lines_of(JsonLines(), say)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    entry = json.loads(line)
    assert isinstance(entry, dict)
    return entry


def test_text_has_time_level_logger_event_and_fields() -> None:
    line = text(
        lambda log: log_event(log, logging.INFO, "run ended", run_id="01", ms=1.5, error=None)
    )
    time, rest = line[:24], line[24:]
    assert time[10] == "T"
    assert time[-1] == "Z"
    assert rest == " INFO    wingman.test: run ended run_id=01 ms=1.5"


def test_json_has_the_same_as_one_object() -> None:
    entry = parsed(
        lambda log: log_event(log, logging.WARNING, "run ended", run_id="01", ms=1.5, whole=True)
    )
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "level": "warning",
        "logger": "wingman.test",
        "event": "run ended",
        "run_id": "01",
        "ms": 1.5,
        "whole": True,
    }


@pytest.mark.parametrize("value", NASTY, ids=ascii)
def test_no_value_looks_like_another_line_or_field(value: str) -> None:
    for say in (
        lambda log: log_event(log, logging.INFO, "event", tool=value),
        lambda log: log.info("a message of others: %s", value),
        lambda log: log.info(value),
    ):
        line = text(say)
        assert line.isprintable()
        assert len(line.splitlines()) == 1
        parsed(say)
    said = text(lambda log: log_event(log, logging.INFO, "event", tool=value))
    assert said.split(" event ")[1].startswith('tool="')
    assert parsed(lambda log: log_event(log, logging.INFO, "event", tool=value))["tool"] == value


def test_a_traceback_is_below_and_indented_or_a_field() -> None:
    def fail(log: logging.Logger) -> None:
        try:
            raise ValueError(f"{FORGED}\n\x1b[31m")
        except ValueError as error:
            log_event(log, logging.WARNING, "a tool failed", error, run_id="01")

    first, *rest = text(fail).split("\n")
    assert first.endswith("a tool failed run_id=01")
    assert len(rest) > 3
    assert all(line.startswith("    ") and line.isprintable() for line in rest)
    entry = parsed(fail)
    assert entry["exception"].startswith("Traceback (most recent call last)")
    assert "ValueError: x\n" in entry["exception"]


def test_a_logger_of_others_with_its_own_error_info_is_formatted_alike() -> None:
    def fail(log: logging.Logger) -> None:
        try:
            raise OSError("no")
        except OSError:
            log.exception("it failed: %d of %d", 1, 2)

    assert parsed(fail)["event"] == "it failed: 1 of 2"
    assert "OSError: no" in parsed(fail)["exception"]


def test_what_is_long_is_cut() -> None:
    long = "x" * 100_000
    assert len(text(lambda log: log.info(long))) < 9_000
    assert len(text(lambda log: log_event(log, logging.INFO, "e", tool=long, other=long))) < 600

    def fail(log: logging.Logger) -> None:
        log.error("failed", exc_info=ValueError(long * 10 + " the end"))

    assert len(text(fail)) < 40_000
    assert "the end" in text(fail)
    assert len(parsed(fail)["exception"]) < 40_000


def test_a_notice_is_its_text_alone() -> None:
    record = logging.LogRecord(NOTICES, 20, "", 0, "Wingman listens on %s", ("a\nb",), None)
    assert TextLines().format(record) == "Wingman listens on a\\nb"
    assert json.loads(JsonLines().format(record))["event"] == "Wingman listens on a\nb"


def test_nothing_is_made_of_an_event_whose_level_is_off() -> None:
    logger = logging.Logger("wingman.test", logging.WARNING)
    kept = Kept(TextLines())
    logger.addHandler(kept)
    log_event(logger, logging.INFO, "event", run_id="01")
    assert kept.lines == []


def test_other_formatters_find_the_fields_too() -> None:
    formatter = logging.Formatter("%(message)s | %(run_id)s")
    line = lines_of(
        formatter, lambda log: log_event(log, logging.INFO, "run ended", run_id="01", ms=2)
    )
    assert line == "run ended run_id=01 ms=2 | 01"


def test_an_uncaught_exception_is_a_line_too() -> None:
    import subprocess

    program = (
        "from wingman.telemetry import configure_logging\n"
        "import threading\n"
        "configure_logging('info', 'json')\n"
        "class Bad:\n    def __del__(self): raise ValueError('ignored')\n"
        "Bad()\n"
        "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()\n"
        "import warnings; warnings.warn('careful')\n"
        "raise KeyError('a bug')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=15, check=False
    )
    entries = [json.loads(line) for line in done.stderr.splitlines()]
    shown = [entry.get("exception", entry["event"]) for entry in entries]
    assert done.returncode == 1
    for wanted in ("ValueError: ignored", "ZeroDivisionError", "careful", "KeyError: 'a bug'"):
        assert sum(wanted in each for each in shown) == 1, wanted
