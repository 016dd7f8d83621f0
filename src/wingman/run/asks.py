"""Asks: what a person is asked about a run's calls, and the answers, durable before they count.

A request is recorded with its step, and waits: for an answer, for its time to be over, or for the
end of its call or its run. Whichever comes first counts.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from math import inf
from typing import Any, Final, TypeAlias

import attrs
import msgspec
import trio
from trio.lowlevel import ParkingLot

from wingman.api import Approver, PermissionAnswer, PermissionRequest, PermissionStatus
from wingman.errors import (
    AlreadyResolved,
    InvalidRequest,
    StoreError,
    StoreUnavailable,
    ToolError,
)
from wingman.events import Event, PermissionRequested, PermissionResolved
from wingman.foreign import contained
from wingman.output import OutputCheck
from wingman.run.clock import now
from wingman.run.logbook import permission_changed
from wingman.store import PermissionAsked, Store
from wingman.store import PermissionResolved as Resolved
from wingman.telemetry import log_event

__all__ = ["Ask", "Asks"]

logger = logging.getLogger("wingman.run")

# Between two tries to write to a store that does not say that it fails.
_PAUSE: Final = 0.1

Denies: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[str | None]]
"""Why a call may not run with an input that a person has edited; raises `ToolError` if it is none
for the tool."""

Grants: TypeAlias = set[tuple[str, str]]


@attrs.define(eq=False)
class Ask:
    """One call that a person is asked about. `request` is how it stands, as it is stored.

    `deciding`: what it comes to is just being recorded. `over`: its call has ended meanwhile.
    `earlier`: an earlier process resolved it, and whether its call has run is not known.
    """

    request: PermissionRequest
    deciding: bool = False
    over: bool = False
    earlier: bool = False
    _changed: ParkingLot = attrs.field(factory=ParkingLot, repr=False)

    @property
    def pending(self) -> bool:
        """Whether it waits."""
        return self.request.status == "pending"

    @property
    def is_question(self) -> bool:
        """Whether its call runs already, and wants to know something."""
        return self.request.schema is not None

    async def resolved(self) -> PermissionRequest:
        """Wait until it waits no more."""
        while self.pending:
            await self._changed.park()
        return self.request

    async def decided(self) -> None:
        """Wait until what it comes to is recorded, or could not be."""
        while self.deciding:
            await self._changed.park()

    def settle(self, request: PermissionRequest) -> None:
        """It stands so from now on."""
        self.request = request
        self.deciding = False
        self._changed.unpark_all()

    def stay(self) -> None:
        """What it should have come to could not be recorded: it waits as before."""
        self.deciding = False
        self._changed.unpark_all()


@attrs.define(eq=False)
class Asks:
    """The requests of a run's step under way. `granted` is what the session's answers `always` have
    granted, and `publish` tells the session's readers."""

    store: Store = attrs.field(repr=False)
    publish: Callable[[Event], object] = attrs.field(repr=False)
    granted: Grants = attrs.field(factory=set, repr=False)
    _asks: tuple[Ask, ...] = ()
    _closed: bool = False
    _changed: ParkingLot = attrs.field(factory=ParkingLot, repr=False)

    @property
    def pending(self) -> Sequence[Ask]:
        """Those that wait."""
        return [ask for ask in self._asks if ask.pending]

    def find(self, permission_id: str) -> Ask | None:
        """The request with this id, if it is of the step under way."""
        return next((ask for ask in self._asks if ask.request.id == permission_id), None)

    def of_call(self, tool_use_id: str) -> Ask | None:
        """The request for this call, if there is one."""
        return next((ask for ask in self._asks if ask.request.tool_use_id == tool_use_id), None)

    def begin(self, requests: Iterable[PermissionRequest]) -> None:
        """These are the requests of a step, and are stored: tell of those that wait."""
        self._asks = tuple(
            Ask(request, earlier=request.status != "pending") for request in requests
        )
        for ask in self.pending:
            self._tell(ask)

    def _tell(self, ask: Ask) -> None:
        permission_changed(ask.request)
        self.publish(_requested(ask.request))

    async def question(self, request: PermissionRequest, approver: Approver | None) -> Any:
        """Ask a person what a call wants to know that runs already; the answer, or None.

        Raises `StoreError` where the question cannot be recorded.
        """
        await self.store.write(PermissionAsked(request)).wait()
        ask = Ask(request)
        self._asks += (ask,)
        self._tell(ask)
        try:
            answered = await self.wait(ask, _nothing_denied, approver)
        finally:
            if ask.pending:
                ask.over = True
                if not ask.deciding:
                    self.store.write(self._cancelled(ask))
        return answered.input if answered.status == "allowed" else None

    def give_up_questions(self) -> None:
        """The calls that asked them ended with an earlier process."""
        for ask in self.pending:
            if ask.is_question:
                self.store.write(self._cancelled(ask))

    # --- waiting -------------------------------------------------------------------------------

    async def wait(
        self, ask: Ask, denies: Denies, approver: Approver | None = None
    ) -> PermissionRequest:
        """Wait until a request waits no more, at most as long as it may. An `approver` is asked."""
        if approver is None and ask.request.expires_at is None:
            return await ask.resolved()
        async with trio.open_nursery() as nursery:
            if ask.request.expires_at is not None:
                nursery.start_soon(self._expire, ask, ask.request.expires_at)
            if approver is not None:
                nursery.start_soon(self._ask, ask, denies, approver)
            request = await ask.resolved()
            nursery.cancel_scope.cancel()
        return request

    async def wait_any(self) -> None:
        """Wait until one of them is resolved, or should be, since its time is over."""
        expiries = [ask.request.expires_at for ask in self.pending if ask.request.expires_at]
        seconds = (min(expiries) - now()).total_seconds() if expiries else inf
        with trio.move_on_after(max(seconds, 0)):
            while all(ask.pending for ask in self._asks):
                await self._changed.park()

    async def _expire(self, ask: Ask, moment: datetime) -> None:
        await trio.sleep(max((moment - now()).total_seconds(), 0))
        await self._insist(partial(self._resolve, ask, "expired"))

    async def _ask(self, ask: Ask, denies: Denies, approver: Approver) -> None:
        """Take an approver's answer. It is foreign code: where it fails, that is no permission."""
        try:
            given = await approver(ask.request)
            fields = {"decision": given} if isinstance(given, str) else msgspec.to_builtins(given)
            answer = msgspec.convert(fields, PermissionAnswer)
            await self._insist(partial(self.answer, ask, answer, denies))
            return
        except BaseException as raised:  # noqa: ASYNC103 contained lets a cancellation through
            error = contained(raised)
        text = "the answer to a permission request could not be had"
        ids = {"session_id": ask.request.session_id, "run_id": ask.request.run_id}
        log_event(logger, logging.ERROR, text, error, **ids)
        text = "The user could not be asked."
        await self._insist(partial(self._resolve, ask, "rejected", message=text))

    async def _insist(self, record: Callable[[], Awaitable[object]]) -> None:
        """Record what nobody would try again, as soon as the store can be written; nothing, where
        something else came first."""
        with suppress(AlreadyResolved):
            while True:
                try:
                    await record()
                    return
                except StoreUnavailable:
                    await self.store.wait_until_well()
                    await trio.sleep(_PAUSE)

    # --- resolving -----------------------------------------------------------------------------

    async def answer(self, ask: Ask, answer: PermissionAnswer, denies: Denies) -> PermissionRequest:
        """Record a person's answer, which then counts, and what else of the step it settles.

        Raises `AlreadyResolved` where something else came first, `InvalidRequest` for an answer
        that cannot be, and `StoreError` where it could not be recorded: then the request waits as
        before.
        """
        if ask.request.schema is not None:
            _check_answer(answer, ask.request.schema)
        elif answer.input is not None:
            await self._check_input(answer, denies)
        if answer.decision == "always" and not ask.request.always:
            raise InvalidRequest(
                "What this call does is too long to be shown, and cannot be granted for later. "
                "Answer once or reject - at `$.decision`"
            )
        status: PermissionStatus = "rejected" if answer.decision == "reject" else "allowed"
        return await self._resolve(
            ask,
            status,
            decision=answer.decision,
            message=answer.message,
            input=ask.request.input if answer.input is None else answer.input,
        )

    async def _check_input(self, answer: PermissionAnswer, denies: Denies) -> None:
        if answer.decision != "once":
            raise InvalidRequest(
                "Only a call that is allowed once can have another input - at `$.input`"
            )
        try:
            refusal = await denies(answer.input or {})
        except ToolError as error:
            raise InvalidRequest(f"{error.message} - at `$.input`") from error
        if refusal is not None:
            raise InvalidRequest(f"{refusal} - at `$.input`")

    async def _resolve(
        self, ask: Ask, status: PermissionStatus, **fields: Any
    ) -> PermissionRequest:
        while ask.deciding:
            await ask.decided()
        if not ask.pending or self._closed:
            raise AlreadyResolved(ask.request.id, ask.request.status)
        moment, replace = now(), msgspec.structs.replace
        settled = {ask: replace(ask.request, status=status, resolved_at=moment, **fields)}
        if fields.get("decision") == "always":
            granted = self.granted | _granted(ask.request)
            for other in self.pending:
                if other is not ask and not other.deciding and _granted(other.request) <= granted:
                    settled[other] = replace(
                        other.request, status=status, resolved_at=moment, decision="always"
                    )
        commit = self.store.write(*map(Resolved, settled.values()))
        for each in settled:
            each.deciding = True
        # The one who waits for the commit may go away: what is recorded counts all the same.
        commit.then(partial(self._recorded, settled))
        await commit.wait()
        return ask.request

    def _recorded(
        self, settled: Mapping[Ask, PermissionRequest], failure: StoreError | None
    ) -> None:
        for ask, request in settled.items():
            if failure is not None:
                ask.stay()
                if ask.over:  # where this fails as well, the run's end does it
                    self.store.write(self._cancelled(ask))
                continue
            if request.decision == "always":
                self.granted |= _granted(request)
            self._settle(ask, request)

    def _settle(self, ask: Ask, request: PermissionRequest) -> None:
        ask.settle(request)
        permission_changed(request)
        self.publish(_resolved(request))
        self._changed.unpark_all()

    def cancel(self, tool_use_id: str) -> Sequence[Resolved]:
        """The changes that a call's end makes of its requests that wait. What is just being
        recorded counts, unless it fails."""
        due = [ask for ask in self.pending if ask.request.tool_use_id == tool_use_id]
        for ask in due:
            ask.over = True
        return [self._cancelled(ask) for ask in due if not ask.deciding]

    def _cancelled(self, ask: Ask) -> Resolved:
        request = msgspec.structs.replace(ask.request, status="cancelled", resolved_at=now())
        self._settle(ask, request)
        return Resolved(request)

    def close(self) -> None:
        """The run is ending: nothing is answered any more."""
        self._closed = True

    def open(self) -> None:
        """The run goes on all the same, since its end could not be recorded."""
        self._closed = False

    def end(self, moment: datetime) -> None:
        """The run has ended, and with it what waited."""
        for ask in self.pending:
            request = msgspec.structs.replace(ask.request, status="cancelled", resolved_at=moment)
            self._settle(ask, request)


async def _nothing_denied(_input: Mapping[str, Any]) -> str | None:
    """A question's answer is input of no tool."""
    return None


def _check_answer(answer: PermissionAnswer, schema: Mapping[str, Any]) -> None:
    """Raise `InvalidRequest` for an answer that is none to a question."""
    if answer.decision == "reject":
        return
    if answer.decision == "always":
        raise InvalidRequest("A tool's question is answered once, or rejected - at `$.decision`")
    try:
        OutputCheck(schema).parse(msgspec.json.encode(answer.input or {}).decode())
    except ValueError as error:  # it does not fit, or the schema is none
        raise InvalidRequest(
            f"The answer's `input` does not fit the question's `schema`. {error} - at `$.input`"
        ) from error


def _granted(request: PermissionRequest) -> Grants:
    """What the answer `always` grants. Without anything that can be, a request is never covered."""
    return {(request.action, resource) for resource in request.always or (request.id,)}


def _requested(request: PermissionRequest) -> PermissionRequested:
    return PermissionRequested(
        request.id,
        request.run_id,
        request.tool_use_id,
        request.tool,
        request.action,
        request.resources,
        request.always,
        request.schema,
    )


def _resolved(request: PermissionRequest) -> PermissionResolved:
    return PermissionResolved(
        request.id,
        request.run_id,
        request.tool_use_id,
        request.status,  # type: ignore[arg-type]  # it waits no more
        request.decision,
        request.message,
    )
