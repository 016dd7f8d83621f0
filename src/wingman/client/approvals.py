"""Answering: a program's approver answers what a session at a server asks."""

import logging
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final

import anyio

from wingman.api import Approver, PermissionAnswer
from wingman.client.session import Session
from wingman.errors import (
    AlreadyResolved,
    InvalidRequest,
    NotFound,
    SessionDeleted,
    WingmanError,
)
from wingman.events import PermissionRequested, PermissionResolved
from wingman.face import Followed, Resynced, answered

__all__ = ["answering"]

logger = logging.getLogger("wingman.client")

_NOT_ASKED: Final = PermissionAnswer("reject", "The user could not be asked.")


def answering(session: Session, approver: Approver) -> AbstractAsyncContextManager[None]:
    """While this block is open, `approver` answers the requests of this session.

        async with client.answering(session, approver):
            result = await session.run("Tidy up.")

    It is an async function that is given the `PermissionRequest`, and returns `"once"`, `"always"`,
    `"reject"` or a `PermissionAnswer`: the same as for `wingman.Session(ask=…)`. It is called for
    what waits when the block is entered, and for what comes, at once for each: several may wait for
    it. It is cancelled where a request is resolved in another way, such as by another program's
    answer. Where it fails, or its answer cannot be, the call is rejected, and that is logged.

    What is left unanswered at the block's end goes on waiting. Where the server cannot be reached,
    or refuses, the block is cancelled and raises why.
    """
    return _Answering(session, approver)


class _Answering(AbstractAsyncContextManager[None]):
    def __init__(self, session: Session, approver: Approver) -> None:
        self._session = session
        self._approver = approver
        self._events = session.follow()
        self._group = anyio.create_task_group()
        self._asked: dict[str, anyio.CancelScope] = {}
        self._failure: WingmanError | None = None

    async def __aenter__(self) -> None:
        await self._events.__aenter__()
        await self._group.__aenter__()
        self._group.start_soon(self._listen)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._group.cancel_scope.cancel()
        try:
            absorbed = bool(
                await self._group.__aexit__(kind, value, traceback)  # noqa: ASYNC102 the group's own
            )
        except BaseExceptionGroup as raised:
            if value is None or raised.exceptions != (value,):
                raise
            absorbed = False  # what the block raised goes on its way alone
        finally:
            await self._events.__aexit__(None, None, None)  # noqa: ASYNC102 it shields itself
        if self._failure is not None and (value is None or absorbed):
            raise self._failure
        return absorbed

    # --- listening -----------------------------------------------------------------------------

    async def _listen(self) -> None:
        try:
            await self._ask_what_waits()
            async for news in self._events:
                match news:
                    case Resynced():
                        await self._ask_what_waits()
                    case Followed(event=PermissionRequested(id=id)):
                        self._ask(id)
                    case Followed(event=PermissionResolved(id=id)):
                        self._forget(id)
                    case _:
                        pass
        except WingmanError as error:
            self._fail(error)

    async def _ask_what_waits(self) -> None:
        waiting = {request.id for request in await self._session.permissions()}
        for id in set(self._asked) - waiting:
            self._forget(id)
        for id in waiting:
            self._ask(id)

    def _ask(self, id: str) -> None:
        if id not in self._asked:
            self._asked[id] = anyio.CancelScope()
            self._group.start_soon(self._settle, id)

    def _forget(self, id: str) -> None:
        """It waits no more: nobody needs to be asked."""
        if (scope := self._asked.get(id)) is not None:
            scope.cancel()

    # --- answering -----------------------------------------------------------------------------

    async def _settle(self, id: str) -> None:
        try:
            answer: PermissionAnswer | None = None
            with self._asked[id]:
                answer = await self._decide(id)
            if answer is not None:
                await self._answer(id, answer)
        except (AlreadyResolved, NotFound):
            pass  # somebody else has answered, or the call is over
        except WingmanError as error:
            self._fail(error)
        finally:
            del self._asked[id]

    async def _decide(self, id: str) -> PermissionAnswer | None:
        """The approver's answer; None where the request waits no more."""
        request = await self._session.permission(id)
        if request.status != "pending":
            return None
        try:
            return answered(await self._approver(request))
        except Exception:
            logger.exception("session %s: an approver failed", self._session.id)
            return _NOT_ASKED

    async def _answer(self, id: str, answer: PermissionAnswer) -> None:
        try:
            await self._session.answer(id, answer)
        except InvalidRequest as error:
            logger.error("session %s: an answer is refused: %s", self._session.id, error)
            await self._session.answer(id, _NOT_ASKED)

    def _fail(self, error: WingmanError) -> None:
        if isinstance(error, SessionDeleted | NotFound):
            return  # with the session, what it asked is gone
        if self._failure is None:
            self._failure = error
            self._group.cancel_scope.cancel()
