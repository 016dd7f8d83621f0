"""Parts: what a runtime is made of, open for as long as it is entered."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from wingman.metrics import Metrics
from wingman.providers import ProviderRegistry
from wingman.run import Limits
from wingman.runtime.agents import Agents
from wingman.runtime.credentials import Credentials
from wingman.runtime.mcp_servers import McpServers
from wingman.runtime.passes import Passes
from wingman.runtime.root import Root
from wingman.session import SessionHost
from wingman.store import Store
from wingman.under_trio import require_trio

if TYPE_CHECKING:
    from wingman.cluster import Member

__all__ = ["Parts"]


class Parts:
    """The parts of a runtime, by their names. An async context manager."""

    _root: Root

    async def __aenter__(self) -> Self:
        require_trio()
        await self._root.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._root.__aexit__(kind, value, traceback)  # noqa: ASYNC102 the host's affair

    @property
    def _host(self) -> SessionHost:
        """Who keeps the sessions: whatever waits for it is to be called under Trio."""
        require_trio()
        return self._root.host

    @property
    def store(self) -> Store:
        """What lasts."""
        return self._root.store

    @property
    def agents(self) -> Agents:
        """The agents, in the store and in code."""
        return self._root.agents

    @property
    def mcp(self) -> McpServers:
        """The MCP servers, in the store, in the settings and in code."""
        return self._root.mcp

    @property
    def credentials(self) -> Credentials:
        """How each provider is reached."""
        return self._root.credentials

    @property
    def passes(self) -> Passes:
        """Secrets that open something for a time, such as logins of a server."""
        return self._root.passes

    @property
    def providers(self) -> ProviderRegistry:
        """The providers by name."""
        return self._root.providers

    @property
    def limits(self) -> Limits:
        """Every bound on a run and on the process."""
        return self._root.services.limits

    @property
    def metrics(self) -> Metrics:
        """What the process counts."""
        return self._root.metrics

    @property
    def member(self) -> "Member | None":
        """This process as one of the nodes that share the store; None: it has the store alone."""
        return self._root.member
