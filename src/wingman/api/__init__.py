"""The HTTP contract as data: every route, body, answer, error and event.

    route.py       Route: one line of the table
    agents.py      } by section: its bodies and answers, and its routes
    sessions.py    }
    messages.py    }
    runs.py        }
    permissions.py }
    mcp_servers.py } MCP servers that agents use
    providers.py   }
    mcp.py         }
    system.py      }
    console.py     }
    routes.py      ROUTES: the table
    errors.py      the errors' body, and the table from code to status
    frames.py      what streams have in them
    openapi.py     the table as an OpenAPI document
    schemas.py     its schemas, as generators read them

The server registers its handlers from the table, and serves nothing that is not in it. The values
are also what the SDK gives: a session looks the same to a program that embeds it. This package
knows nothing of servers, sessions or stores: a client may import it alone.
"""

from typing import TYPE_CHECKING

from wingman.api.agents import (
    AgentFields,
    AgentRecord,
    AgentsQuery,
    CompactionConfig,
    NewAgent,
    ProviderConfig,
)
from wingman.api.console import LoggedOut, Login, LoginBody, LoginLink
from wingman.api.errors import CODES, ErrorAnswer, ErrorDetail
from wingman.api.frames import EXTRA, RUN_STREAM, SESSION_STREAM, USUAL, Frames, Notice
from wingman.api.mcp import McpAnswer, McpError, McpMessage
from wingman.api.mcp_servers import (
    McpConnection,
    McpOrigin,
    McpServer,
    McpServerView,
    McpState,
    McpTool,
    McpWhere,
    ServerName,
    without_secrets,
)
from wingman.api.messages import (
    Accepted,
    CompactBody,
    Disposition,
    MessageBody,
    OnBusy,
    OnDisconnect,
    StreamQuery,
    WordsBody,
)
from wingman.api.permissions import (
    Approver,
    Decision,
    Effect,
    OnAsk,
    PermissionAnswer,
    PermissionForm,
    PermissionRequest,
    PermissionRule,
    PermissionsQuery,
    PermissionStatus,
)
from wingman.api.providers import (
    AuthBody,
    AuthView,
    Credential,
    CredentialFields,
    CredentialView,
    ModelInfo,
    ProviderView,
)
from wingman.api.route import Body, Deleted, Route, parameters_of, pattern_of
from wingman.api.routes import ROUTES
from wingman.api.runs import (
    STATUSES,
    CallOutcome,
    CancelBody,
    CancelledRun,
    CancelledTool,
    Empty,
    Receipt,
    RunFailure,
    RunQuery,
    RunsQuery,
    RunView,
    Status,
)
from wingman.api.sessions import (
    LABEL,
    CallInProgress,
    CallState,
    EventsQuery,
    InProgress,
    NewSession,
    PageQuery,
    SessionFields,
    SessionQuery,
    SessionStatus,
    SessionView,
)
from wingman.api.system import (
    ActorsView,
    ActorView,
    Health,
    Readiness,
    Reloaded,
    RunCounts,
    ToolView,
)
from wingman.lazy import lazily

if TYPE_CHECKING:
    from wingman.api.openapi import document

__all__ = [
    "CODES",
    "EXTRA",
    "LABEL",
    "ROUTES",
    "RUN_STREAM",
    "SESSION_STREAM",
    "STATUSES",
    "USUAL",
    "Accepted",
    "ActorView",
    "ActorsView",
    "AgentFields",
    "AgentRecord",
    "AgentsQuery",
    "Approver",
    "AuthBody",
    "AuthView",
    "Body",
    "CallInProgress",
    "CallOutcome",
    "CallState",
    "CancelBody",
    "CancelledRun",
    "CancelledTool",
    "CompactBody",
    "CompactionConfig",
    "Credential",
    "CredentialFields",
    "CredentialView",
    "Decision",
    "Deleted",
    "Disposition",
    "Effect",
    "Empty",
    "ErrorAnswer",
    "ErrorDetail",
    "EventsQuery",
    "Frames",
    "Health",
    "InProgress",
    "LoggedOut",
    "Login",
    "LoginBody",
    "LoginLink",
    "McpAnswer",
    "McpConnection",
    "McpError",
    "McpMessage",
    "McpOrigin",
    "McpServer",
    "McpServerView",
    "McpState",
    "McpTool",
    "McpWhere",
    "MessageBody",
    "ModelInfo",
    "NewAgent",
    "NewSession",
    "Notice",
    "OnAsk",
    "OnBusy",
    "OnDisconnect",
    "PageQuery",
    "PermissionAnswer",
    "PermissionForm",
    "PermissionRequest",
    "PermissionRule",
    "PermissionStatus",
    "PermissionsQuery",
    "ProviderConfig",
    "ProviderView",
    "Readiness",
    "Receipt",
    "Reloaded",
    "Route",
    "RunCounts",
    "RunFailure",
    "RunQuery",
    "RunView",
    "RunsQuery",
    "ServerName",
    "SessionFields",
    "SessionQuery",
    "SessionStatus",
    "SessionView",
    "Status",
    "StreamQuery",
    "ToolView",
    "WordsBody",
    "document",
    "parameters_of",
    "pattern_of",
    "without_secrets",
]

__getattr__, __dir__ = lazily(__name__, {"document": "wingman.api.openapi"})
