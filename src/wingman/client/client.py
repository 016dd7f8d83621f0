"""Client: one server, as a program sees it. On Trio, or on asyncio."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from wingman.api import (
    ActorsView,
    AuthBody,
    AuthView,
    CredentialFields,
    Decision,
    Deleted,
    LoginLink,
    ModelInfo,
    NewSession,
    PermissionAnswer,
    PermissionForm,
    PermissionRequest,
    PermissionStatus,
    ProviderView,
    Readiness,
    Receipt,
    Reloaded,
    RunView,
    SessionFields,
    SessionView,
    Status,
    ToolView,
)
from wingman.client.address import Address, check_token
from wingman.client.agents import Agents
from wingman.client.exchange import Exchange, Request
from wingman.client.mcp_servers import McpServers
from wingman.client.pages import Pages
from wingman.client.patience import OnRetry, Patience
from wingman.client.permissions import answer_permission, read_permission, some_permissions
from wingman.client.run import Run
from wingman.client.session import Session
from wingman.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from wingman.face import AnyRuns

__all__ = ["Client"]

T = TypeVar("T")

_PAGE = 100


class Client:
    """A server's sessions, agents and runs; an async context manager, on Trio or on asyncio.

        async with Client("http://127.0.0.1:2323", token=…) as client:
            session = await client.create_session("Assistant", work_dir=".")
            result = await session.run("What files are here?")

    `patience` is how long, and how often, what broke is tried again; `on_retry` is told each time,
    and what it raises is raised. `connect_seconds` bounds the connecting, and `silent_seconds` how
    long the server may be silent: its streams say something every 15 s. Nothing bounds a run.
    Tasks may share a client; it belongs to the event loop that it was opened in.
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
        check_token(token)
        for name, seconds in (("connect", connect_seconds), ("silent", silent_seconds)):
            if not seconds > 0:
                raise InvalidRequest(f"{name}_seconds is more than 0, not {seconds!r}.")
        self._address = Address.of(url)
        self._token = token
        self._times = {"connect_seconds": connect_seconds, "silent_seconds": silent_seconds}
        self._exchange = Exchange(
            self._address.url, patience or Patience(), on_retry, silent_seconds
        )
        self.agents = Agents(self._exchange)
        self.mcp = McpServers(self._exchange)

    async def __aenter__(self) -> Self:
        # httpx is heavy: who has imported the client may not open one.
        from wingman.client.connection import Connection  # noqa: PLC0415

        self._exchange.connect(Connection(self._address, self._token, **self._times))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._exchange.aclose()  # noqa: ASYNC102 it shields itself

    def __repr__(self) -> str:
        return f"<Client {self._address.url}>"

    @property
    def url(self) -> str:
        """The server's address."""
        return self._address.url

    # --- sessions ------------------------------------------------------------------------------

    async def create_session(
        self,
        agent: str | None = None,
        *,
        work_dir: str | Path = ".",
        title: str | None = None,
        permissions: PermissionForm | None = None,
        label: str | None = None,
    ) -> Session:
        """Make a session; durable when this returns. `agent` is its default, by id or by name.

        `work_dir` is a directory of the server's machine; a relative one is below the directory
        that the server was started in. `permissions` are rules for this session, after those of its
        agents. With a `label`, only nodes of the server that have it own the session. Raises
        `NotFound`, `InvalidRequest`, or `NoNode`.
        """
        body = NewSession(str(work_dir), title, agent, permissions, label)
        try:
            session_id = await self._create(body)
        except NotFound:
            if agent is None:
                raise
            found = await self.agents.find(agent)
            session_id = await self._create(msgspec.structs.replace(body, agent_id=found.id))
        return Session(self._exchange, session_id)

    async def _create(self, body: NewSession) -> str:
        request = Request.to("POST", "/sessions", body=body)
        return (await self._exchange.ask(request, SessionView, "if unseen")).id

    async def session(self, session_id: str) -> Session:
        """The handle of a session. Raises `NotFound`."""
        request = Request.to(
            "GET", "/sessions/{session_id}/runs", query={"limit": 1}, session_id=session_id
        )
        await self._exchange.reply(request)
        return Session(self._exchange, session_id)

    def sessions(self, page: int = _PAGE) -> AsyncIterator[SessionView]:
        """All sessions without their histories, newest first: `async for` takes page after page."""
        request = Request.to("GET", "/sessions", query={"limit": page})
        return Pages(self._exchange, request, tuple[SessionView, ...])

    async def describe(self, session_id: str) -> SessionView:
        """A session with its history and its status. Raises `NotFound`."""
        return await Session(self._exchange, session_id).describe()

    async def update_session(
        self,
        session_id: str,
        *,
        work_dir: str | UnsetType = UNSET,
        title: str | UnsetType | None = UNSET,
        agent_id: str | UnsetType | None = UNSET,
        permissions: PermissionForm | UnsetType | None = UNSET,
    ) -> None:
        """Change what is given of a session, for the next run to start."""
        body = SessionFields(work_dir, title, agent_id, permissions)
        request = Request.to("PUT", "/sessions/{session_id}", body=body, session_id=session_id)
        await self._exchange.ask(request, SessionView)

    async def delete(self, session_id: str) -> None:
        """Delete a session: end what it runs, and remove all of it. Raises `NotFound`."""
        request = Request.to("DELETE", "/sessions/{session_id}", session_id=session_id)
        await self._exchange.ask(request, Deleted)

    # --- runs ----------------------------------------------------------------------------------

    def runs(
        self, session_id: str | None = None, statuses: Sequence[Status] = (), page: int = _PAGE
    ) -> AsyncIterator[RunView]:
        """The runs of one session or of all, newest first; pages as of `sessions`."""
        query = {"limit": page, "status": ",".join(statuses) or None}
        if session_id is None:
            request = Request.to("GET", "/runs", query=query)
        else:
            request = Request.to(
                "GET", "/sessions/{session_id}/runs", query=query, session_id=session_id
            )
        return Pages(self._exchange, request, tuple[RunView, ...])

    async def run(self, session_id: str, run_id: str) -> Run:
        """The handle on a run, queued, in flight or ended. Raises `NotFound`."""
        run = Run(self._exchange, session_id, run_id)
        await run.describe()
        return run

    async def find_run(self, run_id: str) -> Run:
        """The handle on a run whose session is not known. Raises `NotFound`."""
        view = await self.describe_run(None, run_id)
        run = Run(self._exchange, view.session_id, run_id)
        run.settle(view)
        return run

    async def describe_run(self, session_id: str | None, run_id: str, wait: int = 0) -> RunView:
        """A run as it stands, after its end or after `wait` seconds. Raises `NotFound`.

        Without a `session_id` it may be of any session: the view says of which.
        """
        if session_id is not None:
            return await Run(self._exchange, session_id, run_id).describe(wait)
        request = Request.to("GET", "/runs/{run_id}", query={"wait": wait or None}, run_id=run_id)
        return await self._exchange.ask(request, RunView)

    async def cancel(self, session_id: str, *, queued: bool = False) -> Receipt:
        """Cancel what is in flight in a session, and with `queued` what waits."""
        return await Session(self._exchange, session_id).cancel(queued=queued)

    async def cancel_run(self, session_id: str, run_id: str) -> Receipt:
        """Cancel one run, queued or in flight, and never another."""
        return await Run(self._exchange, session_id, run_id).cancel()

    async def cancel_tool(self, session_id: str, run_id: str, tool_use_id: str) -> Receipt:
        """Cancel one tool call of a run: the model is told, its siblings and the run go on."""
        return await Run(self._exchange, session_id, run_id).cancel_tool(tool_use_id)

    # --- permissions ---------------------------------------------------------------------------

    def permissions(
        self,
        session_id: str | None = None,
        statuses: Sequence[PermissionStatus] = ("pending",),
        page: int = _PAGE,
    ) -> AsyncIterator[PermissionRequest]:
        """What people are asked, in one session or in all, newest first: what waits, or what has
        one of these `statuses` (none: all). Pages as of `sessions`; a long `input` is left out."""
        return some_permissions(self._exchange, session_id, statuses, page)

    async def permission(self, session_id: str, permission_id: str) -> PermissionRequest:
        """One request, whole. Raises `NotFound`."""
        return await read_permission(self._exchange, session_id, permission_id)

    async def answer(
        self, session_id: str, permission_id: str, answer: PermissionAnswer | Decision
    ) -> PermissionRequest:
        """Answer a request, `"once"`, `"always"`, `"reject"`, or in more words; recorded when this
        returns. The call then runs, or is rejected.

        The first answer counts: `AlreadyResolved` for a later one. An answer whose connection broke
        is sent again, and does not count as a later one. Raises `NotFound`, and `InvalidRequest`
        for an answer that cannot be.
        """
        return await answer_permission(self._exchange, session_id, permission_id, answer)

    # --- the server ----------------------------------------------------------------------------

    async def providers(self) -> Sequence[ProviderView]:
        """The providers, and whether they are configured."""
        return await self._list(Request.to("GET", "/provider"), ProviderView)

    async def models(self, provider: str) -> Sequence[ModelInfo]:
        """The models of a provider. Raises `NotFound`."""
        request = Request.to("GET", "/provider/{provider}/models", provider=provider)
        return await self._list(request, ModelInfo)

    async def store_credentials(self, credentials: Mapping[str, CredentialFields]) -> AuthView:
        """Store how providers are reached, by their names."""
        request = Request.to("PUT", "/provider/auth", body=AuthBody(dict(credentials)))
        return await self._exchange.ask(request, AuthView)

    async def delete_credential(self, provider: str) -> None:
        """Remove a stored credential. Raises `NotFound`."""
        request = Request.to("DELETE", "/provider/auth/{provider}", provider=provider)
        await self._exchange.ask(request, Deleted)

    async def tools(self) -> Sequence[ToolView]:
        """The tools that agents can have."""
        return await self._list(Request.to("GET", "/tools"), ToolView)

    async def actors(self) -> ActorsView:
        """The live sessions' actors, and the sessions that are set aside."""
        return await self._exchange.ask(Request.to("GET", "/actors"), ActorsView)

    async def console_link(self) -> str:
        """The address of the console. Where the server has a token it is a link that works once,
        for ten minutes, and stands for the token: only who is to open it may see it."""
        request = Request.to("POST", "/console/login/link")
        link = (await self._exchange.ask(request, LoginLink)).link
        return f"{self.url}/" if link is None else f"{self.url}/#link={link}"

    async def ready(self) -> None:
        """Return when the server takes messages; raise why it does not, when patience ends."""
        await self._exchange.ask(Request.to("GET", "/ready"), Readiness)

    async def reload(self) -> Reloaded:
        """Have the server read its configuration again. Raises `NotReloaded`, with all mistakes."""
        return await self._exchange.ask(Request.to("POST", "/reload"), Reloaded)

    async def _list(self, request: Request, type: type[T]) -> Sequence[T]:
        of: Any = tuple[type, ...]  # type: ignore[valid-type]
        found: tuple[T, ...] = await self._exchange.ask(request, of)
        return found


if TYPE_CHECKING:  # the types prove that it has the face
    _FACE: type[AnyRuns] = Client
