"""Runtime: the composition root. Store, sessions, agents, providers, tools: one of each."""

from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import UNSET, UnsetType

from wingman.actor import Instrument
from wingman.agent import Agent, ChosenAgent
from wingman.errors import InvalidRequest
from wingman.providers import ModelInfo, ProviderRegistry
from wingman.runtime.agents import Agents
from wingman.runtime.credentials import Credentials
from wingman.runtime.models import Models
from wingman.session import Limits, Prices, Session, SessionHost, check_work_dir
from wingman.store import SessionPage, Store, open_store
from wingman.tools import BUILTIN, Tool

__all__ = ["Runtime"]


class Runtime:
    """Many sessions over one store, one HTTP client and one set of limits.

        async with Runtime(store="sqlite:///wingman.db", agents=[agent]) as runtime:
            session = await runtime.create_session(agent, work_dir="project")
            run = await session.submit("Summarise the repository.")

    `store` is `"memory"`, a path or a URL, or a store of one's own. `agents` are those defined in
    code: queued runs find them again by name after a restart. `tools` are known by name to agents
    that come over HTTP, beside the built-in ones. `prices` are what models' tokens cost, as
    `{"anthropic/claude-sonnet-4-5": Price(input=3.0, output=15.0)}`: results of runs whose models
    are all among them have a `cost`. `idle_after` is how many seconds an idle session
    stays in memory (None: for ever). The tools of agents in code are theirs alone.

    Leaving the block interrupts what still runs; `drain` first, to let it finish. Queued runs stay
    in the store and go on when it is opened again.
    """

    def __init__(
        self,
        store: str | Path | Store = "memory",
        *,
        agents: Iterable[Agent] = (),
        tools: Iterable[Tool] = (),
        providers: ProviderRegistry | None = None,
        limits: Limits | None = None,
        prices: Prices | None = None,
        idle_after: float | None = 300.0,
        instruments: tuple[Instrument, ...] = (),
    ) -> None:
        self.store: Store = open_store(store) if isinstance(store, str | Path) else store
        self.providers = ProviderRegistry() if providers is None else providers
        self.credentials = Credentials(self.store, self.providers)
        self._models = Models(self.providers, self.credentials)
        self.agents = Agents(
            self.store, [*BUILTIN.values(), *tools], self.providers, self.credentials, agents
        )
        self.host = SessionHost(
            self.store,
            resolve=self.agents.resolve,
            prepare=self._load,
            limits=limits,
            prices=prices,
            window_of=self._models.window,
            idle_after=idle_after,
            instruments=instruments,
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.host)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self._stack.__aexit__(kind, value, traceback)  # noqa: ASYNC102 the host's affair

    async def _load(self) -> None:
        """What must be known before queued runs go on."""
        await self.credentials.load()
        await self.agents.load()

    async def create_session(
        self,
        agent: Agent | str | None = None,
        *,
        work_dir: str | Path = ".",
        title: str | None = None,
    ) -> Session:
        """Make a session; durable when this returns. `agent` is its default, in code or by id.

        Raises `NotFound` for an unknown agent, `InvalidRequest` if `work_dir` does not exist.
        """
        if isinstance(agent, Agent):
            agent_id: str | None = self.agents.add_code(agent).id
        else:
            agent_id = agent
            if agent is not None:
                self.agents.known(agent)
        live = await self.host.create(work_dir, title, agent_id)
        return self._handle(live.id)

    async def session(self, session_id: str) -> Session:
        """The handle of a session, live or in the store. Raises `NotFound`."""
        await self.host.live(session_id)
        return self._handle(session_id)

    async def sessions(self, limit: int = 100, before: int | None = None) -> SessionPage:
        """Sessions, newest first; `before` is the `next` of the page before."""
        return await self.store.sessions(limit, before)

    async def update_session(
        self,
        session_id: str,
        *,
        work_dir: str | UnsetType = UNSET,
        title: str | UnsetType | None = UNSET,
        agent_id: str | UnsetType | None = UNSET,
    ) -> None:
        """Change what is given of a session, for the next run to start."""
        given: dict[str, str | None] = {}
        if work_dir is not UNSET:
            given["work_dir"] = await check_work_dir(work_dir)
        if title is not UNSET:
            given["title"] = title
        if agent_id is not UNSET:
            if agent_id is not None:
                self.agents.known(agent_id)
            given["agent_id"] = agent_id
        await self.host.update(session_id, given)

    async def models(self, provider: str) -> Sequence[ModelInfo]:
        """The models of a provider, of its own word where it can be asked. Raises `NotFound`.

        It is asked again after five minutes, or when a credential has changed.
        """
        return await self._models.list(provider, self.host.transport)

    async def choose_agent(self, session_id: str, agent_id: str | None = None) -> ChosenAgent:
        """The agent for a message: the one it names, else the session's.

        Raises `NotFound`, `ProviderNotConfigured`, or `InvalidRequest` where none is named.
        """
        if agent_id is None:
            agent_id = (await self.host.live(session_id)).record.agent_id
        if agent_id is None:
            raise InvalidRequest(
                "No agent is named: give the message an agent_id, or the session - at `$.agent_id`"
            )
        return self.agents.choose(agent_id)

    async def drain(self, grace: float = 30.0, patience: float = 10.0) -> None:
        """Take no more runs, give those in flight `grace` seconds, then interrupt them.

        Those are waited for `patience` seconds at most; then all streams end.
        """
        await self.host.drain(grace, patience)

    def _handle(self, session_id: str) -> Session:
        async def choose() -> ChosenAgent:
            return await self.choose_agent(session_id)

        return Session.attached(self.host, session_id, choose)
