"""Foreign data in a process of its own: the limits hold, and nothing outlives the call."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from wingman.processes import (
    WorkerError,
    WorkerFailed,
    WorkerRefused,
    command,
    groups,
    kept,
    run_worker,
    worker,
)

PROGRAM = """
import os, resource, signal, socket, subprocess, sys, time

from wingman.processes.working import Refused

def work(options, data):
    return globals()[options["do"]](options, data)

def echo(options, data):
    return data

def settings(options, data):
    limits = [resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0]
              for name in ("FSIZE", "CORE", "NOFILE")]
    return repr((sorted(os.environ), limits, os.getcwd(), "attrs" in sys.modules)).encode()

def installed(options, data):
    import attrs
    return attrs.__name__.encode()

def refuse(options, data):
    raise Refused("This is no picture of a duck: \\udcff.")

def spin(options, data):
    while True:
        pass

def backtrack(options, data):
    import re
    return str(re.match(b"(a+)+$", b"a" * 60 + b"b")).encode()

def nap(options, data):
    time.sleep(options.get("nap", 60))
    return b""

def eat(options, data):
    return str(len(bytearray(options["size"]))).encode()

def eat_slowly(options, data):
    eaten = []
    while True:
        eaten.append(bytearray(100_000))

def crash(options, data):
    os.kill(os.getpid(), signal.SIGSEGV)

def leave(options, data):
    os._exit(options["code"])

def quote(options, data):
    raise ValueError(data.decode())

def exits(options, data):
    sys.exit("I decide")

def abort(options, data):
    os.write(2, b"memory allocation of 123456 bytes failed\\n")
    os.abort()

def shout(options, data):
    os.write(2, b"x" * options["size"])
    return b"done"

def flood(options, data):
    while True:
        os.write(1, b"x" * 65536)

def write_a_file(options, data):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    descriptor = os.open(options["path"], os.O_WRONLY | os.O_CREAT)
    try:
        os.write(descriptor, b"x")
    except OSError as error:
        return str(error.errno).encode()
    return b"written"

def open_many(options, data):
    try:
        kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(1000)]
    except OSError as error:
        return str(error.errno).encode()
    return str(len(kept)).encode()

def escape(options, data):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", options["mark"]],
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL, start_new_session=True)
    return b"done"

def no_bytes(options, data):
    return {"a": 1}
"""

ENOUGH = 200_000_000  # bytes


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "the_work.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture(
    autouse=True,
    params=[
        pytest.param(
            kept, marks=pytest.mark.skipif(sys.platform != "linux", reason="needs Linux"), id="kept"
        ),
        pytest.param(groups, id="groups"),
    ],
)
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Workers under keepers, and workers in process groups."""
    monkeypatch.setattr(command, "_start", request.param.start)
    return str(request.param.__name__)


async def do(program: Path, what: str, data: bytes = b"", **more: Any) -> bytes:
    limits = {"seconds": 20.0, "memory": ENOUGH, "max_answer": 10_000_000}
    limits |= {name: more.pop(name) for name in limits if name in more}
    return await run_worker(program, {"do": what, **more}, data, **limits)  # type: ignore[arg-type]


def alive(mark: str) -> list[int]:
    """The processes with `mark` in their command lines (zombies have none)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


async def until(condition: Callable[[], bool]) -> None:
    """Look again and again: what other processes do gives no sign."""
    with trio.fail_after(20):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.005)


async def test_bytes_go_in_and_bytes_come_out(program: Path) -> None:
    every = bytes(range(256))
    assert await do(program, "echo", every) == every
    assert await do(program, "echo", b"") == b""


async def test_much_goes_in_and_much_comes_out(program: Path) -> None:
    much = os.urandom(1_000_000) * 8
    assert await do(program, "echo", much) == much


async def test_a_worker_that_does_not_read_is_no_failure(program: Path) -> None:
    answer = await do(program, "shout", b"x" * 1_000_000, size=3)
    assert answer == b"done"


async def test_a_worker_has_an_empty_environment_and_small_limits(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    names, limits, directory, imported = eval(await do(program, "settings"))
    assert set(names) <= {"LC_CTYPE"}  # Python itself sets it
    assert limits[:2] == [0, 0]
    assert limits[2] <= 64
    assert (directory, imported) == ("/", False)


async def test_a_worker_may_import_what_is_installed(program: Path) -> None:
    assert await do(program, "installed") == b"attrs"


async def test_a_refusal_is_the_programs_sentence(program: Path) -> None:
    with pytest.raises(WorkerRefused, match=r"^This is no picture of a duck: \?\.$"):
        await do(program, "refuse")


@pytest.mark.parametrize("what", ["spin", "backtrack", "nap"])
async def test_a_worker_is_ended_when_its_time_is_up(what: str, program: Path) -> None:
    with trio.fail_after(10), pytest.raises(WorkerFailed, match=r"^It took longer than 0\.3 s\.$"):
        await do(program, what, seconds=0.3)


async def test_the_processors_time_is_limited_by_the_kernel_too(
    program: Path, each_way: str
) -> None:
    """Where this process is killed and there is no keeper, nobody else ends the worker."""
    if "groups" not in each_way:
        pytest.skip("once is enough")
    request = {"path": sys.path, "seconds": 0.2, "memory": ENOUGH, "options": {"do": "spin"}}
    argv = [sys.executable, "-I", "-S", str(worker._PROGRAM), str(program)]
    head = json.dumps(request).encode() + b"\n"
    ended = await trio.run_process(argv, stdin=head, capture_stdout=True, check=False)
    assert ended.returncode == -signal.SIGXCPU


@pytest.mark.parametrize(("what", "size"), [("eat", 400_000_000), ("eat_slowly", 0)])
async def test_a_worker_that_wants_too_much_memory_is_told_apart(
    what: str, size: int, program: Path
) -> None:
    with pytest.raises(WorkerFailed, match=r"^It took more than 200 MB of memory\.$"):
        await do(program, what, size=size)


async def test_an_abort_for_want_of_memory_is_one(program: Path) -> None:
    with pytest.raises(WorkerFailed, match=r"^It took more than 200 MB of memory\.$"):
        await do(program, "abort")


async def test_what_is_within_the_memory_is_done(program: Path) -> None:
    assert await do(program, "eat", size=100_000_000) == b"100000000"


@pytest.mark.parametrize(
    ("what", "ended"),
    [("crash", "SIGSEGV"), ("exits", "exit code 1"), ("no_bytes", "exit code 1")],
)
async def test_a_crash_is_a_failure_that_says_how(what: str, ended: str, program: Path) -> None:
    with pytest.raises(WorkerFailed, match=rf"^The worker for it crashed \({ended}\)\.$"):
        await do(program, what)


async def test_an_exit_code_of_its_own_is_a_crash(program: Path) -> None:
    with pytest.raises(WorkerFailed, match="exit code 77"):
        await do(program, "leave", code=77)


async def test_a_program_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed, match="crashed"):
        await do(tmp_path / "none.py", "echo")


async def test_the_log_says_where_a_program_raised_and_quotes_no_data(
    program: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(WorkerFailed, match="exit code 1"):
        await do(program, "quote", b"the data are secret")
    assert "ValueError" in caplog.text
    assert "the_work.py:" in caplog.text
    assert "secret" not in caplog.text


async def test_what_a_worker_shouts_on_stderr_is_drained_and_kept_in_bounds(
    program: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert await do(program, "shout", size=3_000_000) == b"done"
    assert not caplog.text


async def test_an_answer_that_is_too_large_ends_the_worker(program: Path) -> None:
    with pytest.raises(WorkerFailed, match=r"^The result is larger than 100,000 bytes\.$"):
        await do(program, "flood", max_answer=100_000)
    with pytest.raises(WorkerFailed, match=r"^The result is larger than 4 bytes\.$"):
        await do(program, "echo", b"12345", max_answer=4)
    assert await do(program, "echo", b"1234", max_answer=4) == b"1234"


async def test_a_worker_writes_no_file_and_opens_few(program: Path, tmp_path: Path) -> None:
    written = await do(program, "write_a_file", path=str(tmp_path / "file"))
    assert int(written) == errno.EFBIG
    assert int(await do(program, "open_many")) == errno.EMFILE


async def test_a_cancel_ends_a_worker_within_milliseconds(program: Path) -> None:
    times = []
    for _ in range(5):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(do, program, "spin")
                await trio.sleep(0.1)
                cancelled = time.perf_counter()
                scope.cancel()
        times.append(time.perf_counter() - cancelled)
    assert not alive(str(program))
    assert sorted(times)[2] < 0.2  # some milliseconds on an idle machine


async def test_what_a_worker_starts_ends_with_it(program: Path, each_way: str) -> None:
    if "groups" in each_way:
        pytest.skip("a process group does not hold who leaves it")
    mark = f"mark-{uuid.uuid4()}"
    assert await do(program, "escape", mark=mark) == b"done"
    assert alive(mark) == []


async def test_few_workers_run_at_once_and_all_get_their_turn(program: Path) -> None:
    most = 2 * (os.cpu_count() or 1)
    done = []
    seen = []

    async def one() -> None:
        done.append(await do(program, "nap", nap=0.1))

    async with trio.open_nursery() as nursery:
        for _ in range(2 * most + 1):
            nursery.start_soon(one)
        while len(done) < 2 * most + 1:  # noqa: ASYNC110
            seen.append(len(alive(str(program))))
            await trio.sleep(0.01)
    assert 1 < max(seen) <= most
    assert worker._workers().borrowed_tokens == 0


async def test_a_worker_that_cannot_be_started_is_a_failure_that_says_why(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(*_: object, **__: object) -> Any:
        await trio.lowlevel.checkpoint()
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(command, "_start", none)
    with pytest.raises(WorkerFailed, match=r"could not be started.*Too many open files.*try again"):
        await do(program, "echo")


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_no_descriptor_is_left_of_workers(program: Path) -> None:
    await do(program, "echo")
    before = open_descriptors()
    for what in ("crash", "refuse"):
        with pytest.raises(WorkerError):
            await do(program, what)
    with trio.move_on_after(0.1):
        await do(program, "nap")
    assert open_descriptors() == before


async def test_a_kill_of_wingman_leaves_no_worker(program: Path, each_way: str) -> None:
    if "groups" in each_way:
        pytest.skip("a process group outlives who is killed")
    code = textwrap.dedent(f"""
        import trio
        from pathlib import Path
        from wingman.processes import run_worker
        trio.run(lambda: run_worker(
            Path({str(program)!r}), {{"do": "spin"}}, b"",
            seconds=60, memory={ENOUGH}, max_answer=10))
    """)
    parent = subprocess.Popen([sys.executable, "-c", code])  # noqa: ASYNC220 - it is killed below
    try:
        await until(lambda: any(pid != parent.pid for pid in alive(str(program))))
    finally:
        parent.kill()
        parent.wait()
    await until(lambda: not alive(str(program)))
