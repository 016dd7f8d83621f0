"""Root: the one place where the parts of a runtime are put together, opened and closed."""

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

from wingman.actor import ActorSystem, Instrument
from wingman.agent import Agent, Compaction
from wingman.api import Approver, OnAsk, PermissionForm
from wingman.foreign import shown
from wingman.given import listed, one
from wingman.metrics import Metrics
from wingman.permissions import Rules
from wingman.providers import ProviderRegistry, Transport
from wingman.run import EventMemory, Limits, Model, Price, Prices, TimeLimit
from wingman.runtime.agents import Agents
from wingman.runtime.credentials import Credentials
from wingman.runtime.mcp_servers import McpServers
from wingman.runtime.models import Models
from wingman.runtime.passes import Passes
from wingman.runtime.settings import Settings
from wingman.session import SOLE, OpenToolsets, Room, Services, SessionHost, Terms
from wingman.store import Nodes, NodeTerms, Store, open_store
from wingman.tools import BUILTIN, Tool, Toolset

if TYPE_CHECKING:
    from wingman.cluster import ClusterOwners, Member

__all__ = ["Root"]

_COMPACTION: Final = Compaction()


class Root:
    """Store, transport, agents, actors, sessions: one of each. An async context manager.

    What sessions share is put together once, in `services`. The parameters are those of `Runtime`;
    `on_ask` is what becomes of a call that needs an answer where the message does not say.
    """

    def __init__(
        self,
        store: str | Path | Store = "memory",
        *,
        agents: Iterable[Agent] = (),
        tools: Iterable[Tool] = (),
        toolsets: Iterable[Toolset] = (),
        providers: ProviderRegistry | None = None,
        limits: Limits | None = None,
        prices: Prices | None = None,
        idle_after: float | None = 300.0,
        instruments: tuple[Instrument, ...] = (),
        permissions: PermissionForm | None = None,
        ask: Approver | None = None,
        on_ask: OnAsk = "wait",
        compaction: Compaction | None = _COMPACTION,
        settings: Settings | None = None,
        labels: Iterable[str] = (),
    ) -> None:
        self._settings = one("settings", settings, Settings | None)
        agents, tools = listed("agents", agents, Agent), listed("tools", tools, Tool)
        self.store: Store = open_store(store) if isinstance(store, str | Path) else _store(store)
        self.providers = (
            ProviderRegistry()
            if providers is None
            else one("providers", providers, ProviderRegistry)
        )
        self.credentials = Credentials(self.store, self.providers)
        self.models = Models(self.providers, self.credentials)
        self.agents = Agents(
            self.store,
            [*BUILTIN.values(), *tools],
            self.providers,
            self.credentials,
            agents,
            one("compaction", compaction, Compaction | None),
            toolsets,
        )
        self.metrics = Metrics()
        limits = Limits() if limits is None else one("limits", limits, Limits)
        prices = one("prices", {} if prices is None else prices, Mapping)
        for name, price in prices.items():
            one(f"prices[{name!r}]", price, Price)
        system = ActorSystem(instruments=instruments)
        nodes = getattr(self.store, "nodes", None)  # a store of the program's own may know of none
        self.owners = None if nodes is None else self._owners(nodes, labels)
        self.services = Services(
            store=self.store,
            system=system,
            model=Model(Transport(on_retry=self.metrics.retried), self.models.window, self.metrics),
            agents=self.agents,
            limits=limits,
            terms=Terms(prices, Rules.of(permissions)),
            room=Room(limits),
            events=EventMemory(limits.event_bytes),
            time_limit=TimeLimit(limits.seconds),
            toolsets=OpenToolsets(system),
            on_ask=on_ask,
            approver=_approver(ask),
            owners=SOLE if self.owners is None else self.owners,
        )
        self.passes = Passes(self.store)
        self.mcp = McpServers(self.store, self.agents, self.services.toolsets)
        self.host = SessionHost(self.services, idle_after)
        self.member = None if self.owners is None else self._member(self.owners)
        self._stack = AsyncExitStack()

    def _owners(self, nodes: Nodes, labels: Iterable[str]) -> "ClusterOwners":
        from wingman.cluster import ClusterOwners  # noqa: PLC0415  (few are one of many nodes)

        terms = NodeTerms(labels=listed("labels", labels, str))
        return ClusterOwners(self.store, nodes, terms)

    def _member(self, owners: "ClusterOwners") -> "Member":
        from wingman.cluster import Member  # noqa: PLC0415

        return Member(
            self.store, owners.nodes, owners, self.host, self.refresh, self.services.spawn
        )

    async def refresh(self, kind: str | None = None) -> None:
        """Know what other nodes have changed, of one of `wingman.store.KINDS` or of all."""
        if self.owners is None:
            return
        if kind == "mcp_servers" or kind is None:
            await self.mcp.refresh()
        if kind != "mcp_servers":
            await self.agents.refresh()

    def configure(self, settings: Settings) -> None:
        """Take other settings in the place of the former ones: all of them, or, where something is
        wrong with them, none. Raises `InvalidRequest`."""
        toolsets = [*settings.toolsets, *self.mcp.of_settings(settings.mcp)]
        take_agents = self.agents.prepare(settings.tools, toolsets, settings.agents)
        terms = self.services.terms
        # From here on nothing fails.
        take_agents()
        self.mcp.settings_changed()
        if settings.permissions is not None:
            terms.rules = settings.permissions
        if settings.prices is not None:
            terms.prices = settings.prices

    async def __aenter__(self) -> Self:
        stack = self._stack
        try:
            await stack.enter_async_context(self.store)
            await stack.enter_async_context(self.services.model.transport)
            # What must be known before queued runs go on.
            await self.credentials.load()
            await self.agents.load()
            await self.mcp.load()
            if self._settings is not None:
                self.configure(self._settings)
            await stack.enter_async_context(self.services.system)
            await stack.enter_async_context(self.host)
            if self.member is not None:
                await self.member.begin()
        except BaseException:
            # As below: a store that cannot be written now is to be told as such.
            await stack.aclose()  # noqa: ASYNC102 ASYNC120 the host's affair
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What the block raised goes on its way alone: the actors' nursery would wrap it.
        await self._stack.aclose()


def _approver(given: Approver | None) -> Approver | None:
    if given is not None and not callable(given):
        raise TypeError(f"ask is an async function that answers requests, not {shown(given)}")
    return given


def _store(given: Any) -> Store:
    if isinstance(given, Agent):
        raise TypeError("the first argument of a Runtime is its store: write agents=[agent]")
    if isinstance(given, type) or not callable(getattr(given, "write", None)):
        raise TypeError(f'a store is "memory", a path, a URL, or an open_store(…), not {given!r}')
    return cast("Store", given)
