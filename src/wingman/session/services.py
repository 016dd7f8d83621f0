"""Services: what the sessions of one process share."""

from collections.abc import Callable
from typing import Protocol

import attrs
import trio

from wingman.actor import ActorSystem
from wingman.agent import Agent, ChosenAgent
from wingman.api import Approver, OnAsk
from wingman.errors import Overloaded, ShuttingDown
from wingman.permissions import NO_RULES, Rules
from wingman.run import EventMemory, Limits, Model, Prices, TimeLimit
from wingman.session.owners import SOLE, Owners
from wingman.session.toolsets import OpenToolsets
from wingman.store import RunRecord, Store

__all__ = ["AgentSource", "Room", "Services", "Terms"]


class AgentSource(Protocol):
    """Who knows the agents."""

    def choose(self, agent_id: str) -> ChosenAgent:
        """The agent for a new message; raises `NotFound` or `ProviderNotConfigured`."""

    def resolve(self, run: RunRecord) -> Agent:
        """The agent of a run that was admitted by an earlier process; raises what it lacks."""

    async def refresh(self) -> None:
        """Know what other processes have changed in the store."""

    async def changed(self) -> None:
        """Return when an agent or a credential has changed: what was lacking may be there."""


class Room:
    """How many runs the process takes, and whether it takes any.

    Places in flight are given in the order they are asked for: as a session has one run in flight
    at most, sessions take turns. `waiting` counts the runs that have not had a place yet, `asking`
    those that have left theirs, since they wait for people, `held` the bytes of the messages of all
    runs that have not ended. `draining` is set once no more runs are taken,
    `closing` once nothing that has not ended is waited for any more.
    """

    def __init__(self, limits: Limits) -> None:
        self.slots = trio.Semaphore(limits.runs)
        self._places = limits.runs
        self.waiting = 0
        self.asking = 0
        self.held = 0
        self.draining = trio.Event()
        self.closing = trio.Event()
        self._most_waiting = limits.waiting
        self._most_held = limits.message_bytes

    @property
    def in_flight(self) -> int:
        """How many runs have a place."""
        return self._places - self.slots.value

    def check(self, weight: int) -> None:
        """Raise `ShuttingDown` or `Overloaded` where the process takes no more runs, or none whose
        message has so many bytes."""
        self.check_open()
        if self.held and self.held + weight > self._most_held:
            raise Overloaded(
                f"The messages that wait or run have {self.held:,} bytes, and this one {weight:,}; "
                f"{self._most_held:,} is the limit: send the message again later."
            )
        if self.waiting + self.asking >= self._most_waiting:
            raise Overloaded(
                f"{self.waiting} runs are waiting for their turn, and {self.asking} for answers to "
                "permission requests, which is the limit: send the message again later."
            )

    def check_open(self) -> None:
        """Raise `ShuttingDown` once the runtime drains."""
        if self.draining.is_set():
            raise ShuttingDown("The server is shutting down: send the message again later.")

    async def take_slot(self) -> None:
        """Take a place among the runs in flight, without a checkpoint where one is free."""
        try:
            self.slots.acquire_nowait()
        except trio.WouldBlock:
            await self.slots.acquire()

    def leave_slot(self) -> None:
        """Give a place back."""
        self.slots.release()


@attrs.define(eq=False)
class Terms:
    """What the runtime may be given anew while it is open: a run has what was there when it began.

    `rules` hold for all sessions, and what they deny is denied. `prices` are what models cost.
    """

    prices: Prices
    rules: Rules = NO_RULES


@attrs.frozen
class Services:
    """One store, one actor system, one way to the models; one set of agents, limits and terms.

    Made once, by the runtime. `model` holds the door to the network, what is known of context
    windows, and the metrics. `toolsets` are those that are open. `on_ask` is what becomes of a call
    that needs an answer where the message does not say, and `approver` answers for all sessions.
    `owners` knows which sessions are this process's own.
    """

    store: Store
    system: ActorSystem
    model: Model
    agents: AgentSource
    limits: Limits
    terms: Terms
    room: Room
    events: EventMemory
    time_limit: TimeLimit
    toolsets: OpenToolsets
    on_ask: OnAsk = "wait"
    approver: Approver | None = None
    owners: Owners = SOLE

    def spawn(self, function: Callable[[], object], name: str) -> None:
        """Start a task that belongs to the runtime and to no request."""
        self.system.start_task(function, name)
