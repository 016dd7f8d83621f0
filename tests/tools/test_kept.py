"""Commands under keepers: nothing of them outlives the call, or Wingman, whatever they do."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tools.commands import cancel_at_first_output, new_spawner, sh
from wingman.errors import ToolError
from wingman.processes import Output, kept
from wingman.processes.keeping import descent
from wingman.tools import ToolContext, bash, glob
from wingman.tools.process import run_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="keepers need Linux")

Look = Callable[[], list[int]]

RUNAWAYS = {
    "a background child": "sleep 60 &",
    "a child in a session of its own": "setsid sleep 60 &",
    "a daemon that forked twice": "setsid sh -c 'sleep 60 & sleep 60 &'",
    "a daemon without output": "(setsid sh -c 'sleep 60 & sleep 60' > /dev/null 2>&1 &)",
    "nohup and disown": "nohup setsid sleep 60 > /dev/null 2>&1 & disown",
    "one that ignores SIGTERM": "(trap '' TERM HUP; setsid sleep 60 & sleep 60 &)",
    "one that is stopped": "setsid sh -c 'kill -STOP $$; sleep 60' &",
    "the child of a thread": (
        "python3 -c 'import subprocess, threading;"
        'threading.Thread(target=subprocess.run, args=[["setsid", "sleep", "60"]]).start()\' &'
    ),
    "a second subreaper": (
        "setsid python3 -c 'import ctypes, os, time; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0);"
        'os.system("setsid sh -c \\"sleep 60 & sleep 60 &\\" & sleep 60")\' &'
    ),
}


@pytest.fixture(params=RUNAWAYS.values(), ids=RUNAWAYS.keys())
def runaway(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def parent(pid: int | str) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def offspring(of: int) -> list[int]:
    """The children of a process, zombies too."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if parent(entry.name) == of:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


async def until(condition: Callable[[], bool], seconds: float) -> None:
    """Look again and again: what other processes do gives no sign."""
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.005)


# What is left of a call that ends


async def test_a_cancel_leaves_nothing_of(
    runaway: str, context: ToolContext, survivors: Look, heard: Any
) -> None:
    await cancel_at_first_output(context, f"{runaway}\nsleep 0.1; echo ready; sleep 60")
    assert survivors() == []
    assert heard.still_running == []


async def test_the_end_of_the_time_leaves_nothing_of(
    runaway: str, context: ToolContext, survivors: Look, heard: Any
) -> None:
    completed = await sh(context, f"{runaway}\nsleep 60", seconds=0.15)
    assert completed.exit_code is None
    assert survivors() == []
    assert heard.still_running == []


async def test_the_end_of_the_command_leaves_nothing_of(
    runaway: str, context: ToolContext, survivors: Look, heard: Any
) -> None:
    completed = await sh(context, f"{runaway}\nsleep 0.05; echo done; exit 3")
    assert (completed.output, completed.exit_code) == ("done\n", 3)
    assert survivors() == []
    assert heard.still_running == []


async def test_escapees_are_gone_within_milliseconds_of_a_cancel(
    context: ToolContext, survivors: Look
) -> None:
    command = "setsid sleep 60 & setsid sh -c 'sleep 60 & sleep 60 &'; sleep 0.05; echo on; wait"
    times = sorted([await cancel_at_first_output(context, command) for _ in range(15)])
    assert survivors() == []
    assert times[7] < 0.1  # two milliseconds on an idle machine


async def test_who_escaped_may_clean_up_on_sigterm(context: ToolContext) -> None:
    program = "trap 'sleep 0.05; touch cleaned; exit' TERM; touch up; sleep 60 & wait"
    await cancel_at_first_output(
        context,
        f'setsid sh -c "{program}" & until [ -e up ]; do sleep 0.01; done; echo ready; sleep 60',
    )
    assert (context.work_dir / "cleaned").exists()


@pytest.mark.parametrize("grown", [True, False])
async def test_hundreds_of_processes_are_ended_in_bloom_and_while_they_grow(
    grown: bool, context: ToolContext, survivors: Look, heard: Any
) -> None:
    script = "f() { if [ $1 -gt 0 ]; then f $(($1-1)) & setsid sleep 60 & f $(($1-1)) & fi; wait; }"
    pause = "sleep 0.5; " if grown else ""
    await cancel_at_first_output(context, f"{script}; f 6 & {pause}echo ready; wait")
    assert survivors() == []
    assert heard.still_running == []


async def test_one_that_answers_sigterm_with_a_new_process_is_killed(
    context: ToolContext, survivors: Look, heard: Any
) -> None:
    phoenix = context.work_dir / "phoenix"
    phoenix.write_text("trap 'setsid sh phoenix & exit' TERM; echo up; sleep 60 & wait")
    await cancel_at_first_output(context, "sh phoenix")
    assert survivors() == []
    assert heard.still_running == []


async def test_one_that_is_always_about_to_be_another_is_caught(
    context: ToolContext, survivors: Look, heard: Any
) -> None:
    comet = context.work_dir / "comet"
    comet.write_text('#!/bin/sh\nsetsid "$0" &\n')
    comet.chmod(0o700)
    await cancel_at_first_output(context, "./comet & ./comet & sleep 0.1; echo ready; sleep 60")
    assert survivors() == []
    assert heard.still_running == []


async def test_a_search_leaves_nothing_either(context: ToolContext, survivors: Look) -> None:
    (context.work_dir / "file").touch()
    assert await glob.call({"pattern": "*"}, context) == "file\n"
    for steps in range(0, 40, 3):
        with trio.move_on_after(steps / 1000):
            await glob.call({"pattern": "*"}, context)
        assert survivors() == []


async def test_what_could_not_be_ended_in_time_is_reported_by_name_and_pursued(
    context: ToolContext, survivors: Look, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_TERM_GRACE", 0)
    monkeypatch.setattr(kept, "_KILL_GRACE", 0)
    monkeypatch.setattr(kept, "_ANSWER_GRACE", 3)
    await cancel_at_first_output(context, "echo ready; sleep 60; true")
    (what,) = heard.still_running
    assert what.startswith("the processes ")
    assert "sh)" in what
    await until(lambda: survivors() == [], seconds=2)


# What is left when Wingman itself is killed

SERVER = """
    import os, sys, time, trio
    from pathlib import Path
    from wingman.tools import ToolContext, bash

    async def main():
        context = ToolContext(Path.cwd(), progress=lambda text: print(text, end="", flush=True))
        async with trio.open_nursery() as nursery:
            for command in sys.argv[1:]:
                nursery.start_soon(bash.call, {"command": command}, context)
            await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
            forked = os.fork()  # as multiprocessing does: it has copies of all sockets
            if forked == 0:
                os.close(1)
                time.sleep(5)
                os._exit(0)
            print(forked, flush=True)

    trio.run(main)
"""


@pytest.fixture
def server(context: ToolContext) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a process that uses tools, with commands under way that have said `ready`."""
    started = []

    def start(*commands: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SERVER), *commands],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=context.work_dir,
        )
        started.append(process)
        assert process.stdout
        for _ in commands:
            assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def spawner_of(pid: int) -> int:
    (spawner,) = [child for child in offspring(pid) if "keeping" in cmdline(child)]
    return spawner


def cmdline(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


async def test_when_wingman_is_killed_all_of_its_tools_die_at_once(
    server: Callable[..., subprocess.Popen[str]], survivors: Look
) -> None:
    process = server(
        *(f"{runaway}\nsleep 0.2; echo ready; sleep 60" for runaway in RUNAWAYS.values())
    )
    spawner = spawner_of(process.pid)
    keepers = offspring(spawner)
    assert len(keepers) == len(RUNAWAYS)
    assert len(survivors()) > 2 * len(RUNAWAYS)
    process.kill()
    process.wait()
    await until(lambda: survivors() == [], seconds=1)
    await until(lambda: not any(map(alive, [spawner, *keepers])), seconds=1)


async def test_a_forked_child_of_wingman_does_not_keep_the_tools_alive(
    server: Callable[..., subprocess.Popen[str]], survivors: Look
) -> None:
    process = server("setsid sleep 60 & echo ready; sleep 60")
    process.stdin.write("\n")  # type: ignore[union-attr]
    process.stdin.flush()  # type: ignore[union-attr]
    forked = int(process.stdout.readline())  # type: ignore[union-attr]
    process.kill()
    process.wait()
    await until(lambda: survivors() == [forked], seconds=1)
    os.kill(forked, signal.SIGKILL)


async def test_a_keeper_that_was_stopped_or_a_spawner_that_was_killed_changes_nothing_of_this(
    server: Callable[..., subprocess.Popen[str]], survivors: Look
) -> None:
    process = server(
        "setsid sleep 60 & kill -STOP $PPID; echo ready; sleep 60",
        "setsid sleep 60 & echo ready; sleep 60",
    )
    spawner = spawner_of(process.pid)
    process.kill()
    process.wait()
    await until(lambda: survivors() == [], seconds=1)

    process = server("setsid sleep 60 & echo ready; sleep 60")
    os.kill(spawner_of(process.pid), signal.SIGKILL)
    process.kill()
    process.wait()
    await until(lambda: survivors() == [] and not alive(spawner), seconds=1)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# Keepers and spawner under attack


async def test_a_command_that_kills_its_keeper_is_lost_and_leaves_nothing(
    context: ToolContext, survivors: Look, heard: Any
) -> None:
    with pytest.raises(ToolError, match="The command was lost"):
        await sh(context, "setsid sleep 60 & sleep 0.05; kill -9 $PPID; sleep 60")
    assert survivors() == []
    assert heard.still_running == []
    assert (await sh(context, "echo well")).output == "well\n"


async def test_a_command_that_kills_its_keeper_does_no_harm_to_others(
    context: ToolContext, survivors: Look
) -> None:
    async with trio.open_nursery() as nursery:

        async def other() -> None:
            completed = await sh(context, "touch other; until [ -e lost ]; do sleep 0.01; done")
            assert completed.exit_code == 0

        nursery.start_soon(other)
        with pytest.raises(ToolError, match="The command was lost"):
            await sh(context, "until [ -e other ]; do sleep 0.01; done; kill -9 $PPID; sleep 60")
        (context.work_dir / "lost").touch()
    assert survivors() == []


async def test_a_command_that_stops_its_keeper_is_ended_all_the_same(
    context: ToolContext, survivors: Look, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_KILL_GRACE", 0.1)
    await cancel_at_first_output(context, "setsid sleep 60 & kill -STOP $PPID; echo up; sleep 60")
    assert survivors() == []
    assert heard.still_running == []


async def test_polite_signals_to_keeper_and_spawner_are_ignored(context: ToolContext) -> None:
    spawner = "$(cut -d' ' -f4 /proc/$PPID/stat)"
    completed = await sh(context, f"for s in HUP INT QUIT TERM; do kill -$s $PPID {spawner}; done")
    assert completed.exit_code == 0
    assert completed.output == ""


async def test_a_call_outlives_the_spawner_and_the_next_has_a_new_one(
    context: ToolContext, survivors: Look, heard: Any
) -> None:
    kill_it = "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat)"
    completed = await sh(context, f"setsid sleep 60 & {kill_it}; sleep 0.05; echo well; exit 3")
    assert (completed.output, completed.exit_code) == ("well\n", 3)
    killed = kept._spawner._pid
    for _ in range(3):
        assert (await sh(context, "echo well")).output == "well\n"
    assert killed not in offspring(os.getpid())
    assert survivors() == []
    assert heard.still_running == []


async def test_a_command_that_kills_both_is_reported(
    context: ToolContext, survivors: Look, heard: Any
) -> None:
    kill_both = "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat) $PPID"
    with pytest.raises(ToolError, match="The command was lost"):
        await sh(context, f"{kill_both}; sleep 60")
    (what,) = heard.still_running
    assert "the one that kept them is gone" in what
    for pid in survivors():
        os.kill(pid, signal.SIGKILL)
    assert (await sh(context, "echo well")).output == "well\n"


# What a command is born with


async def test_it_has_its_three_descriptors_and_no_more(context: ToolContext) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sh, context, "sleep 0.2")
        completed = await sh(context, "exec ls -l /proc/self/fd")
    numbers = [line.split()[8] for line in completed.output.splitlines()[1:]]
    assert numbers == ["0", "1", "2", "3"]  # 3 is how ls looks
    assert "0 -> /dev/null" in completed.output


async def test_neither_are_the_spawners_and_the_keepers_any_of_wingmans(
    context: ToolContext,
) -> None:
    with (context.work_dir / "database").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        new_spawner()
        completed = await sh(context, "ls -l /proc/$PPID/fd /proc/$PPID/cwd")
    assert "database" not in completed.output
    assert "cwd ->" in completed.output


async def test_no_signal_is_ignored_or_blocked(context: ToolContext) -> None:
    completed = await run_process(
        ["cat", "/proc/self/status"], context, seconds=5, output=Output(10_000)
    )
    masks = dict(line.split(":\t") for line in completed.output.splitlines() if "Sig" in line)
    for mask in (int(masks["SigIgn"], 16), int(masks["SigBlk"], 16)):
        assert not [number for number in signal.valid_signals() if mask >> (number - 1) & 1]


async def test_it_leads_a_session_of_its_own(context: ToolContext) -> None:
    completed = await sh(context, "echo $$; exec cut -d' ' -f1,5,6 /proc/self/stat")
    shell, numbers = completed.output.splitlines()
    assert numbers.split() == [shell] * 3


async def test_the_keys_are_in_no_environment_above_it(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_API_KEY", "hush-hush")
    new_spawner()
    completed = await sh(context, "cat /proc/$PPID/environ; tr '\\0' ' ' < /proc/$PPID/cmdline")
    assert "hush-hush" not in completed.output
    assert "keeping/__main__.py" in completed.output


async def test_a_megabyte_of_environment_arrives(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        monkeypatch.setenv(f"TEST_LARGE_{number}", "x" * 100_000)
    assert (await sh(context, "env | wc -c")).output > "1000000"


async def test_a_program_is_looked_for_on_the_path(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = context.work_dir / "own"
    own.write_text("#!/bin/sh\necho $0 $1\n")
    own.chmod(0o700)
    monkeypatch.setenv("PATH", f"/nowhere:{context.work_dir}:{os.environ['PATH']}")
    completed = await run_process(["own", "thing"], context, seconds=5, output=Output(1_000))
    assert completed.output == f"{own} thing\n"
    monkeypatch.setenv("PATH", "/nowhere")
    for name in ("own", "./nothing", "/nowhere/at/all"):
        with pytest.raises(ToolError, match=r"could not be started: .*No such file"):
            await run_process([name], context, seconds=5, output=Output(1_000))


@pytest.mark.parametrize(("ending", "code"), [("exit 3", 3), ("kill -TERM $$", -15)])
async def test_the_exit_code_is_the_commands(ending: str, code: int, context: ToolContext) -> None:
    assert (await sh(context, ending)).exit_code == code


# The spawner


async def test_fifty_calls_at_once(context: ToolContext, survivors: Look) -> None:
    outputs = {}

    async def call(number: int) -> None:
        outputs[number] = await bash.call({"command": f"sleep 0.1; echo {number}"}, context)

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(call, number)
    assert outputs == {number: f"{number}\n" for number in range(50)}
    assert survivors() == []


async def test_it_has_no_children_when_no_call_is_under_way(context: ToolContext) -> None:
    for _ in range(5):
        await sh(context, "setsid sleep 60 & true")
        await cancel_at_first_output(context, "echo ready; sleep 60")
    await until(lambda: offspring(kept._spawner._pid) == [], seconds=2)


def test_trio_runs_and_threads_share_one(context: ToolContext) -> None:
    async def call() -> int:
        await trio.to_thread.run_sync(trio.run, sh, context, "true")
        return kept._spawner._pid

    assert trio.run(call) == trio.run(call)


def test_a_forked_process_has_one_of_its_own(context: ToolContext) -> None:
    trio.run(sh, context, "true")
    program = """
        import os, sys, trio
        from pathlib import Path
        from wingman.tools import ToolContext, bash

        call = bash.call, {"command": "cut -d' ' -f4 /proc/$PPID/stat"}, ToolContext(Path.cwd())
        sys.stdout.write(trio.run(*call))
        sys.stdout.flush()
        if os.fork() == 0:
            sys.stdout.write(trio.run(*call))
        else:
            os.wait()
            sys.stdout.write(trio.run(*call))
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
    )
    first, forks, again = done.stdout.split()
    assert first == again != forks
    assert done.stderr == ""


async def test_one_that_cannot_start_is_a_tool_error(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_spawner()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ToolError, match="could not be started"):
        await sh(context, "true")


async def test_calls_wait_for_one_that_has_its_hands_full(context: ToolContext) -> None:
    await sh(context, "true")
    started = []
    os.kill(kept._spawner._pid, signal.SIGSTOP)
    with trio.move_on_after(0.3) as scope:
        while True:
            started.append(await kept.start(["touch", "ran"], context.work_dir, {}))
    os.kill(kept._spawner._pid, signal.SIGCONT)
    assert scope.cancelled_caught
    assert started
    for child in started:
        await child.stdout.aclose()
        assert await child.end() is None
    assert (await sh(context, "echo well")).output == "well\n"
    await until(lambda: offspring(kept._spawner._pid) == [], seconds=5)
    assert not (context.work_dir / "ran").exists()


async def test_a_call_that_was_given_up_before_it_began_never_begins(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch, heard: Any
) -> None:
    for grace in ("_TERM_GRACE", "_KILL_GRACE", "_ANSWER_GRACE", "_LAST_GRACE"):
        monkeypatch.setattr(kept, grace, 0.01)
    await sh(context, "true")
    os.kill(kept._spawner._pid, signal.SIGSTOP)
    await sh(context, "touch ran", seconds=0.01)
    assert len(heard.still_running) == 1  # it cannot know better
    os.kill(kept._spawner._pid, signal.SIGCONT)
    await sh(context, "true")
    await until(lambda: offspring(kept._spawner._pid) == [], seconds=5)
    assert not (context.work_dir / "ran").exists()


# How descendants are found


def test_a_kernel_that_lists_no_children_has_them_found_by_a_look_at_all() -> None:
    with subprocess.Popen([shutil.which("sleep") or "sleep", "60"]) as process:
        assert process.pid in descent.listed_children(os.getpid())
        assert process.pid in descent.scanned_children()(os.getpid())
        assert descent.scanned_children()(process.pid) == []
        process.kill()


async def test_a_keeper_does_not_hold_the_directory_of_its_command(context: ToolContext) -> None:
    place = context.work_dir / "place"
    place.mkdir()
    here = attrs.evolve(context, work_dir=place)
    keeper_cwd = 'readlink "/proc/$PPID/cwd"'
    # The command may be quicker than its keeper: it asks until the answer stays.
    script = f'for i in $(seq 100); do [ "$({keeper_cwd})" = / ] && break; sleep 0.01; done; '
    assert await bash.call({"command": script + keeper_cwd}, here) == "/\n"
