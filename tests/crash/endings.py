"""How a server's life ends: killed at once, told to stop, or killed as it stops."""

import signal
from random import Random
from typing import Final, Literal, TypeAlias

import trio

from crash.book import Findings
from crash.victim import Victim

__all__ = ["Ending", "choose_ending", "end"]

Ending: TypeAlias = Literal["SIGKILL", "SIGTERM", "SIGTERM, SIGTERM", "SIGTERM, SIGKILL"]

_ENDINGS: Final[dict[Ending, int]] = {
    "SIGKILL": 84,
    "SIGTERM": 5,
    "SIGTERM, SIGTERM": 4,
    "SIGTERM, SIGKILL": 7,
}
_STOP_SECONDS: Final = 15.0


def choose_ending(random: Random) -> Ending:
    """One at random; mostly SIGKILL."""
    (ending,) = random.choices(list(_ENDINGS), list(_ENDINGS.values()))
    return ending


async def end(
    victim: Victim, ending: Ending, random: Random, findings: Findings, store_fails: bool = False
) -> None:
    """End it; if it was told to stop and no more, it has done so well when this returns.

    Where `store_fails`, it may say that it could not, by 1.
    """
    failed = {1} if store_fails else set()
    match ending:
        case "SIGKILL":
            victim.kill()
        case "SIGTERM":
            victim.terminate()
            await _stopped(victim, {0, *failed}, findings)
        case "SIGTERM, SIGTERM":
            victim.terminate()
            await trio.sleep(random.uniform(0, 0.2))
            victim.terminate()
            # 143: the second came before it had stopped for the first; -15: when it had, and the
            # interpreter was about to leave, with no one to catch a signal.
            await _stopped(victim, {0, 143, -signal.SIGTERM, *failed}, findings)
        case "SIGTERM, SIGKILL":
            victim.terminate()
            await trio.sleep(random.uniform(0, 0.4))
            victim.kill()


async def _stopped(victim: Victim, codes: set[int], findings: Findings) -> None:
    code = None
    with trio.move_on_after(_STOP_SECONDS):
        code = await victim.process.wait()
    findings.check(code is not None, f"a server did not stop within {_STOP_SECONDS:g} s")
    findings.check(code in {None, *codes}, f"a server that was told to stop exited with {code}")
