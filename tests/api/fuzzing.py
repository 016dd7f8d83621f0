"""Schemathesis against a real server: it makes requests from the document, and checks the answers.

A session beside it takes turns all the while. The short form is a test; `python -m bench.contract`
is the long one.
"""

import os
import re
import subprocess
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import trio

from wingman import Agent, Runtime, WingmanError
from wingman.providers import Keyless
from wingman.server import serve

__all__ = ["Fuzzed", "fuzz"]

_HOOKS: Final = Path(__file__).with_name("fuzzing_hooks.py")
_SESSIONS: Final = 8

_PATIENCE: Final = 20.0
"""How long a turn of the session beside them may take, in seconds, whatever is asked."""

# Not checked: that all that fits the schemas is accepted. No schema knows which agents there are.
_ARGUMENTS: Final = (
    "--exclude-checks=positive_data_acceptance",
    "--suppress-health-check=all",
    "--continue-on-failure",
    "--warnings=off",
    "--no-color",
    "--request-timeout=20",
)


@attrs.frozen
class Fuzzed:
    """What came of it: `cases` requests, `turns` of the session beside them, and what was said."""

    passed: bool
    cases: int
    turns: int
    text: str


async def fuzz(phases: str, seconds: int, seed: int | None = None) -> Fuzzed:
    """Run these phases of Schemathesis, those that go on for ever for so many seconds."""
    agent = Agent("Fuzzed", provider=Keyless())
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        session = await runtime.create_session(agent)
        while True:
            try:
                with trio.fail_after(_PATIENCE):
                    result = await session.run("hello")
            except WingmanError:
                # A request has found it in a list, and has deleted it or taken its agent away.
                session = await runtime.create_session(agent)
            else:
                turns += result.stop_reason == "end_turn"
            await trio.sleep(0.2)

    async with Runtime(agents=[agent]) as runtime, trio.open_nursery() as nursery:
        shutdown = trio.Event()
        url = await nursery.start(partial(serve, runtime, port=0, grace=0, shutdown=shutdown))
        sessions = [await runtime.create_session(agent) for _ in range(_SESSIONS)]
        runs = [f"{session.id}/{(await session.submit('hello')).id}" for session in sessions]
        nursery.start_soon(take_turns)
        argv = ["schemathesis", "run", f"{url}/openapi.json", "--phases", phases, *_ARGUMENTS]
        argv += [f"--max-time={seconds}"] + ([] if seed is None else [f"--seed={seed}"])
        done = await trio.run_process(
            argv,
            check=False,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "SCHEMATHESIS_HOOKS": str(_HOOKS),
                "FUZZED_RUNS": " ".join(runs),
                "NO_PROXY": "*",
            },
        )
        assert (await runtime.create_session(agent)).id, "the server goes on"
        nursery.cancel_scope.cancel()
    text = done.stdout.decode(errors="replace")
    cases = re.search(r"([\d,]+) generated", text)
    count = int(cases[1].replace(",", "")) if cases else 0
    return Fuzzed(done.returncode == 0, count, turns, text)
