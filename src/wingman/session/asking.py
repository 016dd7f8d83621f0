"""What a run may do, and what people are asked about: put together before it begins."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

import attrs
import trio

from wingman.agent import Agent
from wingman.api import RunFailure
from wingman.errors import StoreUnavailable
from wingman.permissions import Policy, Rules
from wingman.run import Asks, Gate, Permits, RunState, Toolbox
from wingman.session.instruction_files import with_instruction_files
from wingman.session.lent_toolset import Lent
from wingman.session.live import LiveSession
from wingman.session.live_run import LiveRun
from wingman.session.work_dir import path_of
from wingman.store import CutRun

__all__ = ["Prepared", "gate_of", "prepare", "toolbox_of", "until_answered"]

T = TypeVar("T")

# Between two tries to read from a store that does not say that it fails.
_PAUSE: Final = 0.1


@attrs.frozen
class Prepared:
    """What a run is to begin with. `agent` has the instructions of its directory, where it wants
    them. `permits` say which of its calls may run; None: there are no rules, and all may. `left` is
    what an earlier process has left of it."""

    agent: Agent
    permits: Permits | None = None
    left: CutRun | None = None


async def prepare(live: LiveSession, run: LiveRun, agent: Agent) -> Prepared:
    """Put together what a run is to begin with; without a checkpoint where its agent has no rules,
    and wants no files."""
    waits = run.record.status == "waiting"
    if agent.instruction_files:
        agent = await with_instruction_files(agent, path_of(live.record.work_dir))
    if not waits and not _has_rules(live, run, agent):
        return Prepared(agent)
    if live.granted is None:
        read = partial(live.services.store.grants, live.id)
        live.granted = set(await _persistently(run.state, read))
    if run.asks is None:
        run.ask(_asks(live, run))
    asks = run.asks
    if asks is None:
        raise RuntimeError("a run's requests are known before it begins")
    live.granted |= asks.granted  # answered while the others were read
    asks.granted = live.granted
    permits = Permits(
        gate_of(live, run, agent),
        asks,
        {tool.name: tool for tool in agent.tools},
        run.record,
        live.services.approver,
    )
    left = await _persistently(run.state, partial(_left_of, live, run)) if waits else None
    return Prepared(agent, permits, left)


async def until_answered(live: LiveSession, run: LiveRun) -> None:
    """Of a run that waits for people since an earlier process: tell of that again, and wait for the
    first answer. Neither the history nor a place is needed until then."""
    read = partial(live.services.store.run_permissions, run.id)
    requests = await _persistently(run.state, read)
    asks = _asks(live, run)
    asks.begin(requests)
    asks.give_up_questions()
    run.ask(asks)
    if live.services.approver is None:
        await asks.wait_any()


def toolbox_of(live: LiveSession, agent: Agent) -> Toolbox | None:
    """The tools of the agent's toolsets, which begin to open; None where it has no toolset."""
    if not agent.toolsets:
        return None
    opened, work_dir = live.services.toolsets, path_of(live.record.work_dir)
    lent = tuple(Lent(toolset, work_dir, opened) for toolset in agent.toolsets)
    for each in lent:
        each.begin()
    return Toolbox(agent, lent)


def gate_of(live: LiveSession, run: LiveRun, agent: Agent) -> Gate:
    """The rules of a run, and what becomes of its calls that need an answer."""
    return Gate(
        _rules_of(live, run, agent),
        path_of(live.record.work_dir),
        run.record.on_ask or live.services.on_ask,
        run.record.ask_timeout,
    )


def _has_rules(live: LiveSession, run: LiveRun, agent: Agent) -> bool:
    if agent.toolsets or any(tool.asks for tool in agent.tools):
        return True  # a tool of a toolset may ask, too
    rules = live.services.terms.rules or agent.permissions
    return bool(rules or live.record.permissions or run.record.permissions)


def _rules_of(live: LiveSession, run: LiveRun, agent: Agent) -> Callable[[], Policy]:
    """What gives the rules of a run: the server's may be others by the time a call is let go."""
    terms = live.services.terms
    made_of, policy = terms.rules, _policy(live, run, agent)

    def now() -> Policy:
        nonlocal made_of, policy
        if terms.rules is not made_of:
            made_of, policy = terms.rules, _policy(live, run, agent)
        return policy

    return now


def _policy(live: LiveSession, run: LiveRun, agent: Agent) -> Policy:
    return Policy.of(
        live.services.terms.rules,
        agent.permissions,
        Rules.of(live.record.permissions),
        Rules.of(run.record.permissions),
        granted=() if live.granted is None else live.granted,
    )


def _asks(live: LiveSession, run: LiveRun) -> Asks:
    journal, run_id = live.journal, run.id
    return Asks(live.services.store, lambda event: journal.publish(run_id, event, None))


async def _left_of(live: LiveSession, run: LiveRun) -> CutRun:
    """What an earlier process has left of a run: its messages, and its step under way."""
    store = live.services.store
    pending = await store.pending_step(run.id)
    return CutRun(live.record, run.record, pending, tuple(await store.run_messages(run.id)))


async def _persistently(state: RunState, read: Callable[[], Awaitable[T]]) -> T:
    """Read, as soon as the store can be read."""
    while True:
        try:
            found = await read()
        except StoreUnavailable as error:
            state.waiting_for = RunFailure(error.code, error.message)
            await trio.sleep(_PAUSE)
        else:
            state.waiting_for = None
            return found
