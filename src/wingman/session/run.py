"""Run: the handle on one run, in flight or read from the store."""

from collections.abc import Awaitable, Callable, Collection, Iterable

from msgspec import structs

from wingman.api import Disposition, Receipt, Status
from wingman.conversation import ImageBlock
from wingman.errors import NotInFlight, RunFailed, WaitsForItself
from wingman.events import Result
from wingman.foreign import copy_of
from wingman.given import listed
from wingman.run import CALLERS, CutBy, EventChannel, Outcome, Reader, recorded_error
from wingman.session.admission import RunRequest
from wingman.session.cancelling import cancel_runs, cancel_tool
from wingman.session.live_run import LiveRun
from wingman.store import RunRecord
from wingman.under_trio import require_trio

__all__ = ["Run", "check_not_itself"]


class Run:
    """A run: queued, in flight, or ended. It goes on without its handle."""

    __slots__ = ("_admit", "_live", "_record")

    def __init__(
        self,
        record: RunRecord,
        live: LiveRun | None = None,
        admit: Callable[[RunRequest], Awaitable["Run"]] | None = None,
    ) -> None:
        """A run as the store has it, ended; or, with `live`, one that this process runs, and
        `admit`, which takes a message for its session."""
        self._record = record
        self._live = live
        self._admit = admit

    def __eq__(self, other: object) -> bool:
        """Two handles are equal if they are on the same run."""
        return self.id == other.id if isinstance(other, Run) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Run {self.id} {self.status}>"

    @property
    def record(self) -> RunRecord:
        """What is recorded of it: its message, its agent, its times, its usage."""
        return self._record if self._live is None else self._live.record

    @property
    def id(self) -> str:
        """The run's ULID."""
        return self._record.id

    @property
    def session_id(self) -> str:
        """The session that it belongs to."""
        return self._record.session_id

    @property
    def ended(self) -> bool:
        """Whether it is over, recorded and published."""
        return self._live is None or self._live.ended

    @property
    def status(self) -> Status:
        """Where it stands."""
        return self._record.status if self._live is None else self._live.status

    @property
    def disposition(self) -> Disposition:
        """What becomes of its message, if that was to steer: it is read by the run in flight, or is
        a run of its own, at once or when its turn comes."""
        if self.record.steers is not None:
            return "steered"
        ahead = self._live is not None and self._live.was_behind
        return "queued" if ahead else "started"

    async def admitted(self) -> None:
        """Return when the run is durable. Raises `StoreError` if it could not be made so."""
        require_trio()
        if self._live is not None:
            await self._live.admitted()

    async def wait(self) -> None:
        """Wait for the run's end. Cancelling this wait does not touch the run.

        Raises `WaitsForItself` in a tool of the very session that the run belongs to.
        """
        require_trio()
        if self._live is not None:
            if not self._live.ended:
                check_not_itself(self.session_id, CALLERS.get())
            await self._live.wait()

    async def result(self) -> Result:
        """Wait for the run's end and return what it came to; raise what it failed with.

        Raises `StoreUnavailable` where the end could not be recorded for some seconds. The run is
        then ended from what is stored as soon as that can be; ask again for what it came to.
        """
        require_trio()
        if self._live is not None:
            if not self._live.ended:
                check_not_itself(self.session_id, CALLERS.get())
            await self._live.wait_told()
        return self.outcome()

    def outcome(self) -> Result:
        """What it came to, once it has ended; raise what it failed with.

        Its `output` is in the type that the agent's program has asked for, where this process ran
        it; in the `record` it is JSON.
        """
        outcome: Outcome
        if self._live is None:
            outcome = self._record.result or recorded_error(self._record)
        elif self._live.outcome is not None:
            outcome = self._live.outcome
        else:
            raise RunFailed("the run has not ended", "run_pending", self.id)
        if not isinstance(outcome, Result):
            raise copy_of(outcome)
        output = None if self._live is None else self._live.state.output
        if output is None or outcome.output is None:
            return outcome
        return structs.replace(outcome, output=output.value)

    def recorded_outcome(self) -> Result:
        """What it came to, as it is recorded: its `output` is JSON. Raises as `outcome` does."""
        outcome = self.outcome()
        return self.record.result or outcome

    def reader(self) -> Reader:
        """A reader of this run's events, from its admission on; `wait` tells when it is over.

        A run that is read from the store publishes nothing any more: its reader is at its end.
        """
        if self._live is not None:
            return self._live.reader()
        channel = EventChannel(0)
        channel.close("ended")
        return channel.reader()

    def request_cancel(self, cut_by: CutBy = "cancelled") -> None:
        """Ask for the run's end; `wait` says when it has come."""
        if self._live is not None:
            self._live.request_cancel(cut_by)

    async def steer(
        self,
        message: str,
        *,
        images: Iterable[ImageBlock] = (),
        request_id: str | None = None,
    ) -> "Run":
        """Have this run read a message at its next step, as the user's words; durable when this
        returns. The result of the message is the run's.

        Where the run ends before it has read it, the message is a run of its own. Raises
        `NotInFlight` where this run is not in flight any more: then nothing is kept.
        """
        require_trio()
        if self._live is None or self._admit is None:
            raise NotInFlight(self.id, self.status, "Nothing was sent.")
        request = RunRequest(
            message=message,
            images=listed("images", images, ImageBlock),
            agent_id=self.record.agent_id,
            request_id=request_id,
            on_busy="steer",
            expect_run=self.id,
        )
        run = await self._admit(request)
        await run.admitted()
        return run

    async def cancel(self) -> Receipt:
        """Cancel this run, queued or in flight, and no other; return when it has stopped.

        Raises `StoreUnavailable` where that could not be recorded, and says how the run stands.
        """
        require_trio()
        return Receipt(()) if self._live is None else await cancel_runs((self._live,))

    async def cancel_tool(self, tool_use_id: str) -> Receipt:
        """Cancel one of its tool calls: the model is told, the siblings and the run go on."""
        require_trio()
        return Receipt(()) if self._live is None else await cancel_tool(self._live, tool_use_id)


def check_not_itself(session_id: str, callers: Collection[str]) -> None:
    """Raise `WaitsForItself` where this session is one of those that wait for the caller."""
    if session_id in callers:
        raise WaitsForItself(
            f"A run of session {session_id} waits for the tool that asks this: if the tool waited "
            "for another run of the session, both would wait for ever. Send the message without "
            "waiting for its end (`submit`, or `Prefer: respond-async`), or use another session."
        )
