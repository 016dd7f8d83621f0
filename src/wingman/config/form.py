"""The form of the file: which keys there are, and what each may be.

What is said here of a key is what editors show of it: the JSON Schema is made from these.
"""

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wingman.api import CompactionConfig, McpServer, PermissionForm, ProviderConfig, ServerName
from wingman.run import Price

__all__ = ["FORM", "AgentEntry", "Configuration", "LimitOptions", "ServeOptions", "ToolSources"]

FORM: Final = "form"
"""Under this name a type says in words what its pattern is."""

Text: TypeAlias = Annotated[str, Meta(min_length=1)]
Count: TypeAlias = Annotated[int, Meta(ge=1)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0)]
AgentName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^[^\s/\x00-\x1f]([^/\x00-\x1f]{0,198}[^\s/\x00-\x1f])?$",
        extra={FORM: "up to 200 characters without a slash"},
    ),
]
ModelName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^[^/]+/.+$",
        extra={FORM: "a provider and a model, as in anthropic/claude-sonnet-4-5"},
    ),
]
ImportPath: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*$",
        extra={FORM: "module:name, as in mypkg.tools:forecast"},
    ),
]
HostName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^([\w-]+(\.[\w-]+)*|[0-9a-fA-F.]*:[0-9a-fA-F:.]*)$",
        extra={FORM: "the name alone, as in wingman.example, without a scheme, a port or a path"},
    ),
]
McpName: TypeAlias = Annotated[
    ServerName, Meta(extra={FORM: "up to 32 letters, digits and hyphens"})
]


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table that has no other keys than these."""


class ServeOptions(_Strict, frozen=True, omit_defaults=True):
    """Options of `wingman serve`, by the same names. The command line and the environment go before
    them."""

    host: Annotated[Text, Meta(description="The address to listen on.")] | UnsetType = UNSET
    port: (
        Annotated[int, Meta(ge=0, le=65535, description="The port; 0: any that is free.")]
        | UnsetType
    ) = UNSET
    db: (
        Annotated[Text, Meta(description="The SQLite file, a path or a URL, or `memory`.")]
        | UnsetType
    ) = UNSET
    nodes: (
        Annotated[Count, Meta(description="Processes that share the port; several: PostgreSQL.")]
        | UnsetType
    ) = UNSET
    log_level: (
        Annotated[Literal["debug", "info", "warning", "error"], Meta(description="What is logged.")]
        | UnsetType
    ) = UNSET
    log_format: (
        Annotated[Literal["text", "json"], Meta(description="Text, or a JSON object a line.")]
        | UnsetType
    ) = UNSET
    token: (
        Annotated[
            Text,
            Meta(description="What clients must send; may be `${NAME}`, from the environment."),
        ]
        | UnsetType
    ) = UNSET
    allowed_hosts: (
        Annotated[
            tuple[HostName, ...],
            Meta(description="Names that clients may know the server by, beside localhost."),
        ]
        | UnsetType
    ) = UNSET
    grace: (
        Annotated[
            float,
            Meta(ge=0, description="Seconds that runs in flight have after the first signal."),
        ]
        | UnsetType
    ) = UNSET
    idle_after: (
        Annotated[
            Seconds, Meta(description="Seconds that a session without a message stays in memory.")
        ]
        | UnsetType
    ) = UNSET
    max_connections: Annotated[Count, Meta(description="Connections at once.")] | UnsetType = UNSET
    max_body_memory: (
        Annotated[Count, Meta(description="Bytes of requests' bodies that are held at once.")]
        | UnsetType
    ) = UNSET
    node_url: Annotated[Text, Meta(description="Where other nodes reach this one.")] | UnsetType = (
        UNSET
    )
    labels: (
        Annotated[
            tuple[Text, ...], Meta(description="Labels of this node, which sessions may ask for.")
        ]
        | UnsetType
    ) = UNSET
    compact_at: (
        Annotated[
            float,
            Meta(
                ge=0,
                le=1,
                description="The part of a model's window above which a history is compacted; "
                "0: never.",
            ),
        ]
        | UnsetType
    ) = UNSET


class LimitOptions(_Strict, frozen=True, omit_defaults=True):
    """The limits of `wingman serve`, by the same names. The command line and the environment go
    before them."""

    max_steps: Annotated[Count, Meta(description="Inferences in a run.")] | UnsetType = UNSET
    max_seconds: (
        Annotated[
            Seconds, Meta(description="Seconds that a run may take, without its time in the queue.")
        ]
        | UnsetType
    ) = UNSET
    max_tokens: (
        Annotated[Count, Meta(description="Tokens of a run, input and output.")] | UnsetType
    ) = UNSET
    max_tool_seconds: (
        Annotated[Seconds, Meta(description="Seconds that a tool call may take.")] | UnsetType
    ) = UNSET
    max_tool_output: (
        Annotated[
            int,
            Meta(ge=100, description="Characters of a tool's output that the model is shown."),
        ]
        | UnsetType
    ) = UNSET
    max_parallel_tools: (
        Annotated[Count, Meta(description="Tool calls of one step at once.")] | UnsetType
    ) = UNSET
    max_queued: (
        Annotated[Count, Meta(description="Messages that may wait in one session.")] | UnsetType
    ) = UNSET
    max_runs: Annotated[Count, Meta(description="Runs at once.")] | UnsetType = UNSET
    max_waiting: (
        Annotated[Count, Meta(description="Runs that may wait for their turn.")] | UnsetType
    ) = UNSET
    max_message_bytes: (
        Annotated[Count, Meta(description="Bytes of all messages that wait or run.")] | UnsetType
    ) = UNSET
    max_event_bytes: (
        Annotated[Count, Meta(description="Bytes of events that are held for readers.")] | UnsetType
    ) = UNSET


class AgentEntry(_Strict, frozen=True, omit_defaults=True):
    """An agent. The name of its table is its name, and its id."""

    instructions: (
        Annotated[str, Meta(description="What the model is told beforehand.")] | UnsetType
    ) = UNSET
    provider: (
        Annotated[
            ProviderConfig,
            Meta(description="Whose model it is; the first that has a key where none is said."),
        ]
        | UnsetType
    ) = UNSET
    tools: Annotated[tuple[Text, ...], Meta(description="The names of its tools.")] | UnsetType = (
        UNSET
    )
    toolsets: (
        Annotated[
            tuple[Text, ...],
            Meta(description="The names of its toolsets: MCP servers, and others of [tools]."),
        ]
        | UnsetType
    ) = UNSET
    max_steps: (
        Annotated[int, Meta(ge=1, le=1_000_000, description="Inferences in a run.")] | UnsetType
    ) = UNSET
    permissions: (
        Annotated[PermissionForm, Meta(description="Rules for what its tools may do.")] | UnsetType
    ) = UNSET
    output_schema: (
        Annotated[
            dict[str, Any], Meta(description="The JSON Schema that final responses must fit.")
        ]
        | UnsetType
    ) = UNSET
    instruction_files: (
        Annotated[bool, Meta(description="Whether it reads AGENTS.md in the session's directory.")]
        | UnsetType
    ) = UNSET
    compaction: (
        Annotated[
            CompactionConfig | bool,
            Meta(description="When a long history is compacted; false: never."),
        ]
        | UnsetType
    ) = UNSET


class ToolSources(_Strict, frozen=True, omit_defaults=True):
    """Where tools come from that are not Wingman's own. They are Python, and run in the server."""

    path: Annotated[
        tuple[Text, ...],
        Meta(
            description="Directories in which Python looks for modules, beside its own; relative "
            "to the directory of this file."
        ),
    ] = ()
    imports: Annotated[
        tuple[ImportPath, ...],
        Meta(
            description="Tools and toolsets, as `module:name`: a tool, a toolset, a list of them, "
            "or a function without parameters that gives one."
        ),
    ] = msgspec.field(default=(), name="import")
    entry_points: Annotated[
        tuple[Text, ...] | bool,
        Meta(
            description="Which tools of installed packages, by their names in the group "
            "`wingman.tools`; true: all."
        ),
    ] = ()


class Configuration(_Strict, frozen=True, omit_defaults=True):
    """What `wingman.toml` says."""

    serve: ServeOptions = ServeOptions()
    limits: LimitOptions = LimitOptions()
    permissions: (
        Annotated[
            PermissionForm,
            Meta(
                description="Which tool calls need a person's answer, in all sessions. What these "
                "rules deny nobody can allow."
            ),
        ]
        | UnsetType
    ) = UNSET
    prices: Annotated[
        dict[ModelName, Price],
        Meta(description="What a million tokens of a model cost, by `provider/model`."),
    ] = {}
    agents: Annotated[dict[AgentName, AgentEntry], Meta(description="Agents by name.")] = {}
    mcp: Annotated[
        dict[McpName, McpServer],
        Meta(description="MCP servers by name; an agent has one that its `toolsets` name."),
    ] = {}
    tools: ToolSources = ToolSources()
