"""Wingman: an actor-model runtime for LLM agent sessions, with an HTTP server on top."""

# The map; imports run from the bottom up, and a test holds them to it:
#
#   cli/             the command line: serve, run, demo
#   config/          wingman.toml: what it says, or what is wrong with it, and where
#   client/          a session of a server, with the SDK's own face: Trio, asyncio, or blocking
#   server/          the HTTP face: Quart-Trio routes, SSE, Hypercorn
#   testing/         what a provider owes the run loop, checked; for tests of one's own
#   runtime/         the door: many sessions, agents, credentials, over one store
#   cluster/         many processes over one store, each session live on one of them
#   session/         who takes which run when: actor, mailbox, cancelling, recovery
#   run/             one run: the agent loop, tool calls, journal, event channel, history
#   store/           what must last: SQLite or PostgreSQL with group commit, or memory
#   providers/       a request in, a stream of parts out; one package an API
#   images/          images that can be sent: decoded, measured, made to fit
#   mcp/             the tools of an MCP server, as a toolset
#   tools/           @tool, and the built-in ones
#   processes/       a command, and the end of all that descends from it
#   permissions/     what rules say of a tool call
#   schemas/         Python types as JSON: their schemas, reading, writing
#   api/             the HTTP contract as data: routes, bodies, answers, errors, events
#   actor/           the generic actor runtime: knows nothing of language models
#   telemetry/       logs, to stderr
#   metrics.py       what the process counts
#   face.py          what a session is to a program, wherever it runs
#   agent.py         Agent: a template for runs
#   events.py        what a run tells the world
#   sse.py           Server-Sent Events and lines out of bytes
#   request_body.py  what a request of httpx's sends
#   output.py        a schema that a final response must fit
#   conversation.py  messages, their blocks, usage
#   given.py         what a program gives, looked at where it does
#   foreign.py       what foreign code may raise, and how it is held
#   nearest.py       the known name that somebody may have meant
#   ids.py           ids that sort in the order they were made
#   lazy.py          names that are imported when they are first asked for
#   under_trio.py    who is called elsewhere than under Trio says what to do
#   errors/          one tree of errors
#
# A name is imported when it is first asked for: who only talks to a server starts no runtime.

import logging
from typing import TYPE_CHECKING, Final

from wingman.lazy import lazily

if TYPE_CHECKING:
    from wingman.agent import Agent, Compaction
    from wingman.api import (
        Approver,
        Decision,
        PermissionAnswer,
        PermissionForm,
        PermissionRequest,
        PermissionRule,
        Receipt,
    )
    from wingman.conversation import ImageBlock, Message, Usage
    from wingman.errors import ToolError, WingmanError
    from wingman.events import (
        Compacted,
        Done,
        Event,
        PermissionRequested,
        PermissionResolved,
        Result,
        Steered,
        Step,
        Text,
        Thinking,
        ToolCallResult,
        ToolProgress,
        ToolResult,
        ToolUse,
    )
    from wingman.run import Limits, Price
    from wingman.runtime import RunStream, Runtime, Session
    from wingman.session import Run
    from wingman.tools import Tool, ToolContext, ToolOutput, tool

__all__ = [
    "Agent",
    "Approver",
    "Compacted",
    "Compaction",
    "Decision",
    "Done",
    "Event",
    "ImageBlock",
    "Limits",
    "Message",
    "PermissionAnswer",
    "PermissionForm",
    "PermissionRequest",
    "PermissionRequested",
    "PermissionResolved",
    "PermissionRule",
    "Price",
    "Receipt",
    "Result",
    "Run",
    "RunStream",
    "Runtime",
    "Session",
    "Steered",
    "Step",
    "Text",
    "Thinking",
    "Tool",
    "ToolCallResult",
    "ToolContext",
    "ToolError",
    "ToolOutput",
    "ToolProgress",
    "ToolResult",
    "ToolUse",
    "Usage",
    "WingmanError",
    "tool",
]

_HOMES: Final = {
    "Agent": "wingman.agent",
    "Approver": "wingman.api",
    "Compacted": "wingman.events",
    "Compaction": "wingman.agent",
    "Decision": "wingman.api",
    "Done": "wingman.events",
    "Event": "wingman.events",
    "ImageBlock": "wingman.conversation",
    "Limits": "wingman.run",
    "Message": "wingman.conversation",
    "PermissionAnswer": "wingman.api",
    "PermissionForm": "wingman.api",
    "PermissionRequest": "wingman.api",
    "PermissionRequested": "wingman.events",
    "PermissionResolved": "wingman.events",
    "PermissionRule": "wingman.api",
    "Price": "wingman.run",
    "Receipt": "wingman.api",
    "Result": "wingman.events",
    "Run": "wingman.session",
    "RunStream": "wingman.runtime",
    "Runtime": "wingman.runtime",
    "Session": "wingman.runtime",
    "Steered": "wingman.events",
    "Step": "wingman.events",
    "Text": "wingman.events",
    "Thinking": "wingman.events",
    "Tool": "wingman.tools",
    "ToolCallResult": "wingman.events",
    "ToolContext": "wingman.tools",
    "ToolError": "wingman.errors",
    "ToolOutput": "wingman.tools",
    "ToolProgress": "wingman.events",
    "ToolResult": "wingman.events",
    "ToolUse": "wingman.events",
    "Usage": "wingman.conversation",
    "WingmanError": "wingman.errors",
    "tool": "wingman.tools",
}


__getattr__, __dir__ = lazily(__name__, _HOMES)

# Silent where nobody has set up `logging`: then Python would show warnings on standard error.
logging.getLogger("wingman").addHandler(logging.NullHandler())
