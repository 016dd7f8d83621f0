"""Receipt: what a cancel did, and what it could not do."""

from typing import Literal

import msgspec

from wingman.run import CallOutcome, Status

__all__ = ["CancelledRun", "CancelledTool", "Receipt"]


class CancelledTool(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool call that was in flight when its run, or it alone, was cancelled.

    `stopped` means that the call has ended and that no process is left which it, or a process of
    it, had started. What it handed to a service that ran before (tmux's server, Docker, systemd,
    at, cron) or to another machine (ssh) is not among these, and goes on: `note` says so where the
    call names a client of one.
    """

    id: str
    outcome: CallOutcome
    note: str | None = None


class CancelledRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a cancel did to one run. `outcome` is given where that was not to stop it: it still
    runs, or it was about to end by itself, and has."""

    run_id: str
    was: Status
    stopped_in_ms: float
    tools: tuple[CancelledTool, ...] = ()
    outcome: Literal["still_running", "completed", "failed"] | None = None


class Receipt(msgspec.Struct, frozen=True):
    """What a cancel did. Empty if there was nothing to cancel."""

    cancelled: tuple[CancelledRun, ...]
