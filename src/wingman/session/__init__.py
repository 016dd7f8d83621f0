"""Sessions: who takes which run when, who waits for it, and what happens if things break.

Actors are underneath. The package knows actors, the store's protocol, and runs. It does not know
where agents come from, nor HTTP; how one run goes is the matter of `run/`.
"""

# The map, in the way of one message:
#
#   host.py        sessions over one store: create, change, delete, send messages, drain
#   active.py      those that are live, by id: activation, passivation, quarantine
#   backlog.py     those whose queues an earlier process left, until they are live
#   admission.py   what a message asks for, and why it may be refused
#   live.py        what the process knows of a live session: its runs, from admission to end
#   live_run.py    one run of a live session, and where it stands
#   actor.py       takes the runs one at a time
#   asking.py      what a run may do, and what people are asked about, before it begins
#   instruction_files.py  what AGENTS.md says in its directory and above
#   steering.py    messages that the run in flight is to read
#   permissions.py what people are asked in all sessions, and their answers
#   recovery.py    the end of a run that was cut off, from what is stored
#   cut_offs.py    the same for sessions that another process left, once for all who ask
#   cancelling.py  ask for the end of runs or calls, wait for it, give a receipt
#   handed_over.py what a cancel does not reach: work that a service does for a command
#   run.py         the handle on a run
#   runs.py        runs by their ids: found, and cancelled
#   reading.py     sessions and runs, for those who look at them
#   progress.py    the step under way, as far as it has come
#   views.py       what is told of a session and of a run
#   toolsets.py    the toolsets that are open
#   toolset_owner.py  the actor that holds one open
#   lent_toolset.py   one as a run has it
#   owners.py      which sessions are this process's own
#   services.py    what the sessions of one process share
#   work_dir.py    the directory that a session's tools work in

from wingman.session.admission import RunRequest, check_rules
from wingman.session.host import SessionHost
from wingman.session.instruction_files import instruction_files
from wingman.session.lent_toolset import Lent
from wingman.session.live import LiveSession
from wingman.session.live_run import LiveRun
from wingman.session.owners import SOLE, Owners
from wingman.session.reading import SessionPages
from wingman.session.run import Run, check_not_itself
from wingman.session.services import AgentSource, Room, Services, Terms
from wingman.session.toolset_owner import HeldToolset
from wingman.session.toolsets import OpenToolsets
from wingman.session.views import PermissionList, RunList, SessionList
from wingman.session.work_dir import check_work_dir

__all__ = [
    "SOLE",
    "AgentSource",
    "HeldToolset",
    "Lent",
    "LiveRun",
    "LiveSession",
    "OpenToolsets",
    "Owners",
    "PermissionList",
    "Room",
    "Run",
    "RunList",
    "RunRequest",
    "Services",
    "SessionHost",
    "SessionList",
    "SessionPages",
    "Terms",
    "check_not_itself",
    "check_rules",
    "check_work_dir",
    "instruction_files",
]
