"""SessionPermissions: what people are asked in all sessions, and their answers."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import trio

from wingman.api import PermissionAnswer, PermissionRequest, PermissionStatus
from wingman.errors import AlreadyResolved, NotFound
from wingman.run import waiting_error
from wingman.session.active import ActiveSessions
from wingman.session.asking import gate_of, toolbox_of
from wingman.session.live import LiveSession
from wingman.session.live_run import LiveRun
from wingman.session.services import Services
from wingman.store import PermissionPage

__all__ = ["SessionPermissions"]

# A request that its run does not know yet is looked for so often, with a pause in between.
_TRIES: Final = 20
_PAUSE: Final = 0.05


class SessionPermissions:
    """Reads the requests, and takes the answers. It holds nothing of its own."""

    def __init__(self, services: Services, active: ActiveSessions) -> None:
        self._services = services
        self._store = services.store
        self._active = active

    async def list(
        self,
        session_id: str | None,
        statuses: Sequence[PermissionStatus],
        limit: int,
        before: int | None,
    ) -> PermissionPage:
        """Requests, newest first, of one session or of all. Raises `NotFound` for no session."""
        if session_id is not None and await self._store.session(session_id) is None:
            raise NotFound("session", session_id)
        return await self._store.permissions(session_id, statuses, limit, before)

    async def get(self, session_id: str, permission_id: str) -> PermissionRequest:
        """One request, whole. Raises `NotFound`."""
        request = await self._store.permission(session_id, permission_id)
        if request is None:
            gone = await self._store.session(session_id) is None
            raise NotFound("session", session_id) if gone else NotFound("permission", permission_id)
        return request

    async def answer(
        self, session_id: str, permission_id: str, answer: PermissionAnswer
    ) -> PermissionRequest:
        """Answer a request; the call runs, or is rejected, once that is recorded.

        Raises `NotFound`, `AlreadyResolved` where something else came first, `InvalidRequest` for
        an answer that cannot be, `StoreUnavailable` where it could not be recorded, `ShuttingDown`
        where the runtime drains: then the request still waits.
        """
        live = await self._active.live(session_id)
        for _ in range(_TRIES):
            request = await self.get(session_id, permission_id)
            run = live.runs.get(request.run_id)
            asks = None if run is None else await run.wait_asks()
            ask = None if asks is None else asks.find(permission_id)
            if run is not None and asks is not None and ask is not None and not run.state.cut_by:
                denies = partial(self._denies, live, run, request.tool)
                return await asks.answer(ask, answer, denies)
            if request.status != "pending":
                break
            if self._services.room.draining.is_set():
                raise waiting_error(request.run_id)
            # It has just been recorded, and the run is about to hear of that; or the run is ending.
            await trio.sleep(_PAUSE)
        raise AlreadyResolved(permission_id, request.status)

    async def _denies(
        self, live: LiveSession, run: LiveRun, tool: str, input: Mapping[str, Any]
    ) -> str | None:
        """Why this call may not run with an input that a person has edited."""
        agent = run.agent or self._services.agents.resolve(run.record)
        toolbox = toolbox_of(live, agent)
        if toolbox is not None:
            try:
                agent = await toolbox.filled()
            finally:
                toolbox.close()
        by_name = {each.name: each for each in agent.tools}
        return await gate_of(live, run, agent).denies(by_name.get(tool), input)
