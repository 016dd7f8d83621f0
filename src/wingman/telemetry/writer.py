"""Writer: lines to standard error, without anybody waiting for it.

Who reads standard error may stop reading, and the disk behind it may be full. The server goes on:
a thread of its own writes the lines, so many are held for it, and those that find no room are
counted and dropped. As soon as lines are taken again, one says how many were not.
"""

import logging
import os
import select
import sys
import threading
from collections import deque
from typing import Final

from wingman.telemetry.events import LogEvent

__all__ = ["LineHandler", "LineWriter", "open_standard_error"]

_HELD: Final = 1_048_576  # bytes of lines that wait to be written
# Bytes of lines that are written at once: of these no other process's lines come between.
_BATCH: Final = select.PIPE_BUF
_AT_THE_END: Final = 0.2  # seconds that the end of the process waits for what is held


def open_standard_error() -> int | None:
    """A descriptor of standard error that is ours alone; None where it was closed at the start.

    The number 2 may belong to somebody else by now then.
    """
    if sys.stderr is None:
        return None
    try:
        return os.dup(2)
    except OSError:
        return None


class LineWriter:
    """Writes lines to a descriptor, which it closes at the end, in a thread of its own."""

    def __init__(self, descriptor: int, held: int = _HELD) -> None:
        self._descriptor = descriptor
        self._most = held
        self._lines: deque[tuple[bytes, int]] = deque()
        self._size = 0
        self._lost = 0
        self._busy = False
        self._closed = False
        self._changed = threading.Condition()
        threading.Thread(target=self._work, name="wingman logs", daemon=True).start()

    def put(self, line: bytes, lines: int = 1) -> None:
        """Have a line written; it is dropped where too much waits already.

        It counts as so many `lines` then: it may tell of others that were dropped.
        """
        with self._changed:
            if self._closed or self._size + len(line) > self._most:
                self._lost += lines
                return
            self._lines.append((line, lines))
            self._size += len(line)
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Return when all is written, or after so many seconds; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._lines or self._busy), seconds)

    def take_lost(self) -> int:
        """How many lines were dropped since this was told; 0 while too much waits still."""
        with self._changed:
            if self._size > self._most // 2:
                return 0
            lost, self._lost = self._lost, 0
            return lost

    def close(self) -> None:
        """Take no more; what is held is still written, while the process lives."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while batch := self._next():
            written = self._write(b"".join(line for line, _ in batch))
            with self._changed:
                self._busy = False
                self._lost += 0 if written else sum(lines for _, lines in batch)
                self._changed.notify_all()
        os.close(self._descriptor)

    def _next(self) -> list[tuple[bytes, int]]:
        """The lines to write now; none when it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._closed)
            batch: list[tuple[bytes, int]] = []
            size = 0
            while self._lines and (not batch or size + len(self._lines[0][0]) <= _BATCH):
                batch.append(self._lines.popleft())
                size += len(batch[-1][0])
            self._size -= size
            self._busy = bool(batch)
            return batch

    def _write(self, data: bytes) -> bool:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # another process has made it so
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
            except OSError:  # nobody reads it any more, or its disk is full
                return False
        return True


class LineHandler(logging.Handler):
    """Gives log records to a `LineWriter`, each as its formatter has it."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._writer = LineWriter(descriptor)

    def emit(self, record: logging.LogRecord) -> None:
        """Have the record written. One that cannot be made a line is told of in another."""
        if lost := self._writer.take_lost():
            event = "log lines were dropped: standard error did not take them"
            self._put(_about(record, event, lines=lost), lost)
        try:
            self._put(record)
        except RecursionError:  # the caller knows better words for it, as with logging's own
            raise
        except Exception as error:
            event = "a log line could not be made"
            self._put(_about(record, event, place=record.name, error=type(error).__name__))

    def wait(self, seconds: float) -> bool:
        """Return when all is written, or after so many seconds; whether it is."""
        return self._writer.wait(seconds)

    def flush(self) -> None:
        """Wait a moment for what is held: the process may be about to end."""
        self._writer.wait(_AT_THE_END)

    def close(self) -> None:
        """Take no more records."""
        self._writer.close()
        super().close()

    def _put(self, record: logging.LogRecord, lines: int = 1) -> None:
        line = f"{self.format(record)}\n".encode(errors="backslashreplace")
        self._writer.put(line, lines)


def _about(record: logging.LogRecord, event: str, **fields: str | int) -> logging.LogRecord:
    """A record of ours, at the time of another."""
    own = logging.LogRecord(
        "wingman", logging.WARNING, __file__, 0, LogEvent(event, fields), None, None
    )
    own.created = record.created
    return own
