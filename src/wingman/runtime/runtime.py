"""Runtime: many sessions, their agents and credentials, over one store. The one door to all of it.

A program asks it, and so does the HTTP server, which is one face of it.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, UnsetType

from wingman.actor import Instrument
from wingman.agent import Agent, Compaction
from wingman.api import (
    Approver,
    Decision,
    ModelInfo,
    PermissionAnswer,
    PermissionForm,
    PermissionRequest,
    PermissionStatus,
    Receipt,
    RunView,
    SessionView,
    Status,
)
from wingman.conversation import HistoryPart, Message
from wingman.face import AnyRuns, answered
from wingman.given import one
from wingman.processes import Address, commands
from wingman.providers import ProviderRegistry
from wingman.run import Limits, Prices, Reader
from wingman.runtime.parts import Parts
from wingman.runtime.root import Root
from wingman.runtime.session import Session
from wingman.runtime.settings import Settings
from wingman.runtime.status import RuntimeStatus, status_of
from wingman.session import (
    PermissionList,
    Run,
    RunList,
    RunRequest,
    SessionList,
    SessionPages,
    check_work_dir,
)
from wingman.store import Store
from wingman.tools import Tool, Toolset
from wingman.under_trio import require_trio

__all__ = ["Runtime"]


class Runtime(Parts):
    """Many sessions over one store, one HTTP client and one set of limits.

        async with Runtime(store="sqlite:///wingman.db", agents=[agent]) as runtime:
            session = await runtime.create_session(agent, work_dir="project")
            run = await session.submit("Summarise the repository.")

    `store` is `"memory"`, a path or a URL, or a store of one's own. `agents` are those defined in
    code: queued runs find them again by name after a restart. `tools` and `toolsets` are known by
    name to agents that come over HTTP, beside the built-in tools. `prices` are what models' tokens
    cost, as `{"anthropic/claude-sonnet-4-5": Price(input=3.0, output=15.0)}`: results of runs whose
    models are all among them have a `cost`. `idle_after` is how many seconds an idle session stays
    in memory (None: for ever). The tools of agents in code are theirs alone.

    `permissions` are rules for all sessions, and what they deny nobody can allow. `ask` is an async
    function that answers what needs an answer; without one, calls wait for `answer`. `compaction`
    is how histories are compacted for agents that come over HTTP and do not say; None: not at all.
    `settings` are more agents, tools, rules and prices, which `configure` may change later.
    Where other processes share the store, `labels` are those that sessions may ask for.

    Leaving the block interrupts what still runs; `drain` first, to let it finish. Queued runs stay
    in the store and go on when it is opened again.
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
        compaction: Compaction | None = Compaction(),  # noqa: B008 it is frozen
        settings: Settings | None = None,
        labels: Iterable[str] = (),
    ) -> None:
        self._root = Root(
            store,
            agents=agents,
            tools=tools,
            toolsets=toolsets,
            providers=providers,
            limits=limits,
            prices=prices,
            idle_after=idle_after,
            instruments=instruments,
            permissions=permissions,
            ask=ask,
            compaction=compaction,
            settings=settings,
            labels=labels,
        )

    # --- sessions ------------------------------------------------------------------------------

    async def create_session(
        self,
        agent: Agent | str | None = None,
        *,
        work_dir: str | Path = ".",
        title: str | None = None,
        permissions: PermissionForm | None = None,
        label: str | None = None,
    ) -> Session:
        """Make a session; durable when this returns. `agent` is its default, in code or by id.
        `permissions` are rules for this session, after those of its agents. With a `label`, only
        nodes that have it own the session.

        Raises `NotFound` for an unknown agent, `InvalidRequest` if `work_dir` does not exist.
        """
        host = self._host
        one("work_dir", work_dir, str | Path)
        one("title", title, str | None)
        one("label", label, str | None)
        agent_id = await self.agents.id_of(one("agent", agent, Agent | str | None))
        live = await host.create(work_dir, title, agent_id, permissions, label)
        return Session.attached(host, live.id)

    async def session(self, session_id: str) -> Session:
        """The handle of a session, live or in the store. Raises `NotFound`."""
        await self._host.active.live(session_id)
        return Session.attached(self._host, session_id)

    async def sessions(self, limit: int = 100, before: int | None = None) -> SessionList:
        """Sessions, newest first; `before` is the `next` of the page before."""
        return await self._host.reader.sessions(limit, before)

    async def describe(self, session_id: str, *, as_model: bool = False) -> SessionView:
        """A session with its history and its status; `as_model`: with what models are shown of the
        history after it was compacted. Raises `NotFound`."""
        return await self._host.reader.session(session_id, as_model=as_model)

    async def read_session(self, session_id: str) -> SessionPages:
        """A session, to be read with its history in pieces. Raises `NotFound`."""
        return await self._host.reader.open(session_id)

    async def session_messages(
        self, session_id: str, limit: int = 100, before: int | None = None
    ) -> HistoryPart:
        """The last messages of a session's history, as `Session.messages` has them."""
        return await self._host.reader.messages(session_id, limit, before)

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
        host = self._host
        given: dict[str, Any] = {}
        if work_dir is not UNSET:
            given["work_dir"] = await check_work_dir(work_dir)
        if title is not UNSET:
            given["title"] = title
        if agent_id is not UNSET:
            given["agent_id"] = await self.agents.id_of(agent_id)
        if permissions is not UNSET:
            given["permissions"] = permissions
        await host.update(session_id, given)

    async def delete(self, session_id: str) -> None:
        """Delete a session: end what it runs, and remove all of it. Raises `NotFound`."""
        await self._host.delete(session_id)

    async def follow(self, session_id: str, after: int | None = None) -> Reader:
        """A reader of a session's events, from now on, or after the event `after`.

        Enter it, then `receive`. It raises `StreamLagged` where what comes next is not held.
        """
        return await self._host.follow(session_id, after)

    # --- runs ----------------------------------------------------------------------------------

    async def admit(self, session_id: str, request: RunRequest) -> Run:
        """Admit a message's run; it is durable when `run.admitted()` returns.

        The same `request_id` gives the same run again. Raises `NotFound`, `SessionBusy`,
        `MailboxFull`, `Overloaded`, `ShuttingDown`, `ProviderNotConfigured`, `InvalidRequest`.
        """
        return await self._host.admit(session_id, request)

    def callers(self, client: Address, server: Address) -> frozenset[str]:
        """The sessions that wait for the process at the other end, if that is a tool's command."""
        return commands.callers(client, server)

    is_command = staticmethod(commands.is_command)

    async def runs(
        self,
        session_id: str | None = None,
        statuses: Sequence[Status] = (),
        limit: int = 100,
        before: int | None = None,
    ) -> RunList:
        """Runs, of one session or of all, newest first; `before` is the `next` of the page before.

        Long texts are cut short, and the run then says so (`cut`): `describe_run` has all of it.
        """
        return await self._host.reader.runs(session_id, statuses, limit, before)

    async def run(self, session_id: str, run_id: str) -> Run:
        """The handle on a run, live or ended. Raises `NotFound`."""
        return await self._host.runs.find(session_id, run_id)

    async def find_run(self, run_id: str) -> Run:
        """The handle on a run whose session is not known. Raises `NotFound`."""
        return await self._host.runs.find_anywhere(run_id)

    async def describe_run(self, session_id: str | None, run_id: str, wait: float = 0) -> RunView:
        """A run as it is stored, after its end or after `wait` seconds. Raises `NotFound`.

        Without a `session_id` it may be of any session: the view says of which.
        """
        if session_id is None:
            return await self._host.reader.find_run(run_id, wait)
        return await self._host.reader.run(session_id, run_id, wait)

    async def run_messages(self, run_id: str) -> Sequence[Message]:
        """What one run added to the history, in order; its user's message is the first."""
        return await self._host.reader.run_messages(run_id)

    async def cancel(
        self, session_id: str, *, queued: bool = False, run_id: str | None = None
    ) -> Receipt:
        """Cancel what is in flight in a session, and with `queued` what waits; say what stopped.

        With a `run_id`, only if that run is the one in flight; else it raises `NotInFlight`. Raises
        `NotFound`, or `StoreUnavailable` where the cancel could not be recorded.
        """
        return await self._host.runs.cancel(session_id, queued=queued, run_id=run_id)

    async def cancel_run(self, session_id: str, run_id: str) -> Receipt:
        """Cancel one run, queued or in flight, and never another. Errors as for `cancel`."""
        return await self._host.runs.cancel_run(session_id, run_id)

    async def take_back(self, session_id: str, run_id: str) -> Receipt:
        """Take back a message that nobody has read. Raises `NotFound`, `MessageRead`."""
        return await self._host.runs.take_back(session_id, run_id)

    async def cancel_tool(self, session_id: str, run_id: str, tool_use_id: str) -> Receipt:
        """Cancel one tool call of a run: the model is told, its siblings and the run go on. Raises
        `NotFound`, also where the run has no such call."""
        return await self._host.runs.cancel_tool(session_id, run_id, tool_use_id)

    # --- permissions ---------------------------------------------------------------------------

    async def permissions(
        self,
        session_id: str | None = None,
        statuses: Sequence[PermissionStatus] = ("pending",),
        limit: int = 100,
        before: int | None = None,
    ) -> PermissionList:
        """What people are asked, in one session or in all, newest first: what waits, or what has
        one of these `statuses` (none: all). `before` is the `next` of the page before."""
        page = await self._host.permissions.list(session_id, statuses, limit, before)
        return PermissionList.of(page.requests, page.next)

    async def permission(self, session_id: str, permission_id: str) -> PermissionRequest:
        """One request, whole. Raises `NotFound`."""
        return await self._host.permissions.get(session_id, permission_id)

    async def answer(
        self, session_id: str, permission_id: str, answer: PermissionAnswer | Decision
    ) -> PermissionRequest:
        """Answer a request, `"once"`, `"always"`, `"reject"`, or in more words; recorded when this
        returns. The call then runs, or is rejected.

        The first answer counts: `AlreadyResolved` for a later one. Raises `NotFound`,
        `InvalidRequest` for an answer that cannot be, and `StoreUnavailable` where it could not be
        recorded: then the request still waits.
        """
        return await self._host.permissions.answer(session_id, permission_id, answered(answer))

    # --- the whole -----------------------------------------------------------------------------

    def configure(self, settings: Settings) -> None:
        """Take other settings in the place of the former ones, without touching a run. Raises
        `InvalidRequest` where something is wrong with them, and then nothing has changed."""
        self._root.configure(one("settings", settings, Settings))

    async def models(self, provider: str) -> Sequence[ModelInfo]:
        """The models of a provider, of its own word where it can be asked. Raises `NotFound`.

        It is asked again after five minutes, or when a credential has changed.
        """
        require_trio()
        return await self._root.models.list(provider, self._root.services.model.transport)

    async def refresh(self) -> None:
        """Know at once what other nodes have changed of agents, credentials and MCP servers."""
        require_trio()
        await self._root.refresh()

    def status(self) -> RuntimeStatus:
        """How the runtime stands now."""
        return status_of(self._root.services, self._root.host)

    async def drain(self, grace: float = 30.0, patience: float = 10.0) -> None:
        """Take no more runs, give those in flight `grace` seconds, then interrupt them.

        Those are waited for `patience` seconds at most; then all streams end.
        """
        await self._host.drain(grace, patience)


if TYPE_CHECKING:  # the types prove that the SDK has the face
    _FACE: type[AnyRuns] = Runtime
