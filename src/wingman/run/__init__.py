"""One run, from its start to its end: infer, call the tools, again, and what must last of it.

It knows the store's protocol, providers and tools. It knows no actor, no mailbox and no handle of a
session: who takes runs in which order, and who waits for them, is decided in `session/`.
"""

# The map, in the order in which a run meets them:
#
#   loop.py       the agent loop: infer, call tools, again; and its end
#   inference.py  one step's question to the model, and its answer as it comes
#   shown.py      what the model is shown of a history, kept as that grows
#   context.py    what the model is shown beside it, and whether all can fit
#   view.py       what is left of a history for models: a summary and the rest, or all of it
#   compaction.py when a history is compacted, and to what
#   summary.py    the summary, written by a model
#   model.py      how models are reached
#   sendable.py   what of a history is sent, where an API would refuse the whole
#   refusals.py   whether an API has refused a request for what is in it
#   draft.py      a step as far as it has come
#   toolbox.py    the tools of its agent, and of the toolsets that are lent to it
#   calls.py      a step's tool calls, side by side
#   gate.py       the rules, held against a call: it may run, may not, or somebody is asked
#   permits.py    which calls of a step may run, and what those are told that may not
#   asks.py       what a person is asked, and the answers: durable before they count
#   words.py      the messages that are to steer it, until it reads them
#   place.py      a run's place among those in flight, left while it waits for people
#   apart.py      a single call in its run's task, and a context of its own
#   progress.py   what a tool says while it runs, from any thread
#   results.py    what a call gave, as the model is shown it
#   told.py       what the model is told of a tool that failed
#   answer.py     the final response, held to the agent's output_schema
#   cost.py       what a run has used, and what that costs
#   logbook.py    what the log is told of it
#   ending.py     how a run ends, and what that means for the step under way
#   journal.py    what a run changes and tells: durable first, then shown; its one end
#   session_journal.py  the ids of a session's events, and their publishing
#   channel.py    the events that a session publishes
#   published.py  one of them, and what it is as a frame of a stream
#   reader.py     a cursor into a channel
#   event_memory.py  what the readers of all sessions make the process hold, and its bound
#   state.py      where a run stands
#   time_limit.py  ends the runs that have had their time
#   clock.py      the time of day
#   history.py    the rules of a history, as pure functions
#   limits.py     every bound, with its default

from wingman.run.asks import Ask, Asks
from wingman.run.calls import CALLERS, ToolCall
from wingman.run.channel import EventChannel
from wingman.run.clock import now
from wingman.run.cost import NOTHING_SPENT, Meter, Price, Prices, Spent
from wingman.run.ending import Ending, cut, waiting_error
from wingman.run.event_memory import EventMemory
from wingman.run.gate import Gate
from wingman.run.history import complete_step, repair
from wingman.run.journal import Outcome, RunJournal, recorded_error
from wingman.run.limits import Limits
from wingman.run.loop import RunLoop
from wingman.run.model import Model
from wingman.run.permits import Permits
from wingman.run.place import Place
from wingman.run.published import Published, encode_event
from wingman.run.reader import BATCH, Reader
from wingman.run.session_journal import Journal
from wingman.run.shown import Shown
from wingman.run.state import CutBy, Phase, RunState
from wingman.run.time_limit import TimeLimit
from wingman.run.toolbox import LentToolset, Toolbox
from wingman.run.view import View, view_of
from wingman.run.words import Words

__all__ = [
    "BATCH",
    "CALLERS",
    "NOTHING_SPENT",
    "Ask",
    "Asks",
    "CutBy",
    "Ending",
    "EventChannel",
    "EventMemory",
    "Gate",
    "Journal",
    "LentToolset",
    "Limits",
    "Meter",
    "Model",
    "Outcome",
    "Permits",
    "Phase",
    "Place",
    "Price",
    "Prices",
    "Published",
    "Reader",
    "RunJournal",
    "RunLoop",
    "RunState",
    "Shown",
    "Spent",
    "TimeLimit",
    "ToolCall",
    "Toolbox",
    "View",
    "Words",
    "complete_step",
    "cut",
    "encode_event",
    "now",
    "recorded_error",
    "repair",
    "view_of",
    "waiting_error",
]
