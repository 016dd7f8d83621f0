"""Sessions: the agent loop, its tool calls, its events, its history. Actors underneath.

It knows actors, the store's protocol, the provider's and the tool's. It does not know where agents
come from, nor HTTP.
"""

# The map, in the way of one message:
#
#   session.py     the handle that a program holds: run, run_stream, submit, cancel, history
#   host.py        sessions over one store: open and close, create, read, change, delete, submit
#   active.py      those that are live, by id: activation, passivation, quarantine
#   admission.py   what a message asks for, and why it may be refused
#   live.py        what the process knows of a live session: its runs, from admission to end
#   run.py         one run, and the handle on it
#   actor.py       takes the runs one at a time
#   loop.py        one run: infer, call tools, again; and its end
#   inference.py   one step's question to the model, and its answer as it comes
#   window.py      whether the history can fit into the model's context window
#   output.py      structured output: whether a final response fits, and what to say if not
#   meter.py       what a run has used, and what it costs
#   prices.py      what models' tokens cost
#   ending.py      how a run ends, and what that means for the step under way
#   draft.py       a step as far as it has come
#   calls.py       a step's tool calls, side by side
#   cancelling.py  ask for the end of runs or calls, wait for it, give a receipt
#   history.py     the rules of a history, as pure functions
#   channel.py     the event channel and its readers
#   recovery.py    the end of a run that was cut off by a crash
#   draining.py    take no more runs, and let those that are here end
#   limits.py      every bound, with its default
#   services.py    what the sessions of one process share
#   work_dir.py    the directory that a session's tools work in

from wingman.session.admission import OnBusy, RunRequest
from wingman.session.cancelling import CancelledRun, CancelledTool, Receipt, Status
from wingman.session.channel import EventChannel, Published, Reader
from wingman.session.host import SessionHost
from wingman.session.limits import Limits
from wingman.session.live import LiveSession
from wingman.session.prices import Price, Prices
from wingman.session.run import Run
from wingman.session.session import RunStream, Session
from wingman.session.work_dir import check_work_dir

__all__ = [
    "CancelledRun",
    "CancelledTool",
    "EventChannel",
    "Limits",
    "LiveSession",
    "OnBusy",
    "Price",
    "Prices",
    "Published",
    "Reader",
    "Receipt",
    "Run",
    "RunRequest",
    "RunStream",
    "Session",
    "SessionHost",
    "Status",
    "check_work_dir",
]
