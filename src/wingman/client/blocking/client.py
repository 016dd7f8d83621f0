"""SyncClient: one server, as a program without an event loop sees it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import UNSET, UnsetType

from wingman.api import (
    ActorsView,
    AgentFields,
    AgentRecord,
    AuthView,
    CredentialFields,
    Decision,
    ModelInfo,
    NewAgent,
    PermissionAnswer,
    PermissionForm,
    PermissionRequest,
    PermissionStatus,
    ProviderView,
    Receipt,
    Reloaded,
    RunView,
    SessionView,
    Status,
    ToolView,
)
from wingman.client.agents import Agents
from wingman.client.blocking.loop import Loop
from wingman.client.blocking.mcp_servers import SyncMcpServers
from wingman.client.blocking.session import SyncRun, SyncSession
from wingman.client.client import Client
from wingman.client.patience import OnRetry, Patience

__all__ = ["SyncAgents", "SyncClient"]


class SyncAgents:
    """The agents of a server. See `wingman.client.Agents`."""

    def __init__(self, loop: Loop, agents: Agents) -> None:
        self._loop = loop
        self._agents = agents

    def create(self, fields: NewAgent) -> AgentRecord:
        """Make an agent; it is durable when this returns."""
        return self._loop.call(partial(self._agents.create, fields))

    def list(self) -> Sequence[AgentRecord]:
        """All agents: those of code, by name, then those in the store, newest first."""
        return self._loop.call(self._agents.list)

    def get(self, agent_id: str) -> AgentRecord:
        """One agent; raises `NotFound`."""
        return self._loop.call(partial(self._agents.get, agent_id))

    def update(self, agent_id: str, fields: AgentFields) -> AgentRecord:
        """Change the fields that are given; runs that are admitted already keep what they had."""
        return self._loop.call(partial(self._agents.update, agent_id, fields))

    def delete(self, agent_id: str) -> None:
        """Remove an agent; runs that are admitted already keep their copy."""
        self._loop.call(partial(self._agents.delete, agent_id))

    def find(self, name: str) -> AgentRecord:
        """The agent of this id, or else the one of this name."""
        return self._loop.call(partial(self._agents.find, name))


class SyncClient:
    """A server's sessions, agents and runs, for scripts and notebooks: each call waits.

        with SyncClient("http://127.0.0.1:2323", token=…) as client:
            session = client.create_session("Assistant", work_dir=".")
            print(session.run("What files are here?").response)

    In a notebook, `open` and `close` it instead. Ctrl-C cancels the call that waits, and the run
    with it. Threads may share a client. The arguments are those of `Client`.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:2323",
        token: str | None = None,
        *,
        patience: Patience | None = None,
        on_retry: OnRetry | None = None,
        connect_seconds: float = 5.0,
        silent_seconds: float = 45.0,
    ) -> None:
        self._loop = Loop()
        self._client = Client(
            url,
            token,
            patience=patience,
            on_retry=on_retry,
            connect_seconds=connect_seconds,
            silent_seconds=silent_seconds,
        )
        self.agents = SyncAgents(self._loop, self._client.agents)
        self.mcp = SyncMcpServers(self._loop, self._client.mcp)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SyncClient {self.url}>"

    @property
    def url(self) -> str:
        """The server's address."""
        return self._client.url

    def open(self) -> None:
        """Start the thread that does the work."""
        self._loop.open()
        try:
            self._loop.call(self._client.__aenter__)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Cancel what other threads wait for, close all connections, and end the thread."""
        self._loop.close(partial(self._client.__aexit__, None, None, None))

    def create_session(
        self,
        agent: str | None = None,
        *,
        work_dir: str | Path = ".",
        title: str | None = None,
        permissions: PermissionForm | None = None,
        label: str | None = None,
    ) -> SyncSession:
        """Make a session; durable when this returns. See `Client.create_session`."""
        create = partial(
            self._client.create_session,
            agent,
            work_dir=work_dir,
            title=title,
            permissions=permissions,
            label=label,
        )
        return SyncSession(self._loop, self._loop.call(create))

    def session(self, session_id: str) -> SyncSession:
        """The handle of a session. Raises `NotFound`."""
        session = self._loop.call(partial(self._client.session, session_id))
        return SyncSession(self._loop, session)

    def sessions(self) -> Iterator[SessionView]:
        """All sessions without their histories, newest first, page after page."""
        return self._loop.iterate(self._client.sessions())

    def describe(self, session_id: str) -> SessionView:
        """A session with its history and its status. Raises `NotFound`."""
        return self._loop.call(partial(self._client.describe, session_id))

    def update_session(
        self,
        session_id: str,
        *,
        work_dir: str | UnsetType = UNSET,
        title: str | UnsetType | None = UNSET,
        agent_id: str | UnsetType | None = UNSET,
        permissions: PermissionForm | UnsetType | None = UNSET,
    ) -> None:
        """Change what is given of a session, for the next run to start."""
        update = partial(
            self._client.update_session,
            session_id,
            work_dir=work_dir,
            title=title,
            agent_id=agent_id,
            permissions=permissions,
        )
        self._loop.call(update)

    def delete(self, session_id: str) -> None:
        """Delete a session: end what it runs, and remove all of it. Raises `NotFound`."""
        self._loop.call(partial(self._client.delete, session_id))

    def runs(
        self, session_id: str | None = None, statuses: Sequence[Status] = ()
    ) -> Iterator[RunView]:
        """The runs of one session or of all, newest first, page after page."""
        return self._loop.iterate(self._client.runs(session_id, statuses))

    def run(self, session_id: str, run_id: str) -> SyncRun:
        """The handle on a run, queued, in flight or ended. Raises `NotFound`."""
        return SyncRun(self._loop, self._loop.call(partial(self._client.run, session_id, run_id)))

    def find_run(self, run_id: str) -> SyncRun:
        """The handle on a run whose session is not known. Raises `NotFound`."""
        return SyncRun(self._loop, self._loop.call(partial(self._client.find_run, run_id)))

    def cancel(self, session_id: str, *, queued: bool = False) -> Receipt:
        """Cancel what is in flight in a session, and with `queued` what waits."""
        return self._loop.call(partial(self._client.cancel, session_id, queued=queued))

    def permissions(
        self,
        session_id: str | None = None,
        statuses: Sequence[PermissionStatus] = ("pending",),
    ) -> Iterator[PermissionRequest]:
        """What people are asked, in one session or in all. See `Client.permissions`."""
        return self._loop.iterate(self._client.permissions(session_id, statuses))

    def permission(self, session_id: str, permission_id: str) -> PermissionRequest:
        """One request, whole. Raises `NotFound`."""
        return self._loop.call(partial(self._client.permission, session_id, permission_id))

    def answer(
        self, session_id: str, permission_id: str, answer: PermissionAnswer | Decision
    ) -> PermissionRequest:
        """Answer a request; the first answer counts. See `Client.answer`."""
        return self._loop.call(partial(self._client.answer, session_id, permission_id, answer))

    def providers(self) -> Sequence[ProviderView]:
        """The providers, and whether they are configured."""
        return self._loop.call(self._client.providers)

    def models(self, provider: str) -> Sequence[ModelInfo]:
        """The models of a provider. Raises `NotFound`."""
        return self._loop.call(partial(self._client.models, provider))

    def store_credentials(self, credentials: Mapping[str, CredentialFields]) -> AuthView:
        """Store how providers are reached, by their names."""
        return self._loop.call(partial(self._client.store_credentials, credentials))

    def tools(self) -> Sequence[ToolView]:
        """The tools that agents can have."""
        return self._loop.call(self._client.tools)

    def actors(self) -> ActorsView:
        """The live sessions' actors, and the sessions that are set aside."""
        return self._loop.call(self._client.actors)

    def console_link(self) -> str:
        """The address of the console, as a link that works once. See `Client.console_link`."""
        return self._loop.call(self._client.console_link)

    def ready(self) -> None:
        """Return when the server takes messages; raise why it does not, when patience ends."""
        self._loop.call(self._client.ready)

    def reload(self) -> Reloaded:
        """Have the server read its configuration again. Raises `NotReloaded`, with all mistakes."""
        return self._loop.call(self._client.reload)
