"""The table of routes. The server serves these and no others; the document is made from them."""

from typing import Any, Final

from wingman.api import agents, errors, messages, providers, runs, sessions, system
from wingman.api.frames import RUN_STREAM, SESSION_STREAM
from wingman.api.route import Answer, Body, Header, Route
from wingman.events import Result

__all__ = ["ROUTES", "SECTIONS"]

SECTIONS: Final = {
    "agents": "Templates for runs: what the model is told, which model it is, which tools it has.",
    "sessions": "A session keeps a history, and takes its messages one at a time.",
    "messages": "Send a message, and wait for its run, follow it, or leave it.",
    "runs": "A run is one message, from its admission to its end.",
    "providers": "The APIs of models, and how they are reached.",
    "server": "The server itself.",
}
"""The parts of the contract, and what they are about."""

_LOCATION = Header("Location", "The path of what was made.")
_RUN_LOCATION = Header("Location", "The path of the message's run.")
_LINK = Header("Link", '`<path>; rel="next"`: the next page, where there are more.')
_LAST_EVENT_ID = Header(
    "Last-Event-ID", "The id of the last frame that was seen: the stream goes on after it."
)
_IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    "A message with this key is run once in its session; the same as `request_id` in the body.",
    {"type": "string", "minLength": 1, "maxLength": 255},
)
_PREFER = Header(
    "Prefer", "`respond-async`: answer at once, with 202 and the run's id, and do not wait."
)
_APPLIED = Header("Preference-Applied", "`respond-async`.")

_STORE = ("store_error", "store_unavailable")
_WRITE = ("shutting_down", *_STORE)
_MESSAGE = (
    "session_not_found",
    "agent_not_found",
    "session_deleted",
    "provider_not_configured",
    "session_busy",
    "request_id_conflict",
    "waits_for_itself",
    "mailbox_full",
    "overloaded",
    "session_quarantined",
    *_WRITE,
)
_RUN = (
    "context_too_long",
    "provider_error",
    "provider_auth",
    "provider_timeout",
    "output_invalid",
)
_AGENT = {"name": "Assistant", "tools": ["bash", "read"]}
_DELETED = Answer(200, "It is gone.", sessions.Deleted)

ROUTES: Final[tuple[Route, ...]] = (
    # --- agents ---
    Route(
        name="create_agent",
        method="POST",
        path="/agents",
        section="agents",
        summary="Create an agent",
        body=Body(agents.NewAgent, _AGENT),
        answers=(Answer(201, "The agent.", agents.AgentRecord, headers=(_LOCATION,)),),
        errors=_WRITE,
    ),
    Route(
        name="list_agents",
        method="GET",
        path="/agents",
        section="agents",
        summary="List all agents",
        description="First those that the program defines in code, then those of the store.",
        answers=(Answer(200, "All agents.", tuple[agents.AgentRecord, ...]),),
    ),
    Route(
        name="read_agent",
        method="GET",
        path="/agents/{agent_id}",
        section="agents",
        summary="Read an agent",
        answers=(Answer(200, "The agent.", agents.AgentRecord),),
        errors=("agent_not_found",),
    ),
    Route(
        name="update_agent",
        method="PUT",
        path="/agents/{agent_id}",
        section="agents",
        summary="Change an agent",
        description="Fields that are not given keep their values. Runs that are admitted already "
        "keep the agent as it was.",
        body=Body(
            agents.AgentFields,
            {"instructions": "Answer in one sentence."},
            ignored=frozenset({"id", "created_at", "updated_at"}),
        ),
        answers=(Answer(200, "The agent.", agents.AgentRecord),),
        errors=("agent_not_found", *_WRITE),
    ),
    Route(
        name="delete_agent",
        method="DELETE",
        path="/agents/{agent_id}",
        section="agents",
        summary="Delete an agent",
        answers=(_DELETED,),
        errors=("invalid_request", "agent_not_found", *_WRITE),
    ),
    # --- sessions ---
    Route(
        name="create_session",
        method="POST",
        path="/sessions",
        section="sessions",
        summary="Create a session",
        body=Body(sessions.NewSession, {"title": "A first look"}, optional=True),
        answers=(Answer(201, "The session.", sessions.SessionView, headers=(_LOCATION,)),),
        errors=("agent_not_found", *_WRITE),
    ),
    Route(
        name="list_sessions",
        method="GET",
        path="/sessions",
        section="sessions",
        summary="List sessions, newest first",
        query=sessions.PageQuery,
        answers=(
            Answer(
                200,
                "Sessions without their histories.",
                tuple[sessions.SessionView, ...],
                headers=(_LINK,),
            ),
        ),
        errors=_STORE,
    ),
    Route(
        name="read_session",
        method="GET",
        path="/sessions/{session_id}",
        section="sessions",
        summary="Read a session with its history",
        answers=(Answer(200, "The session.", sessions.SessionView),),
        errors=("session_not_found", *_STORE),
    ),
    Route(
        name="update_session",
        method="PUT",
        path="/sessions/{session_id}",
        section="sessions",
        summary="Change a session",
        description="Fields that are not given keep their values. It holds from the next run on.",
        body=Body(
            sessions.SessionFields,
            {"title": "A second look"},
            ignored=frozenset(
                {
                    "id",
                    "status",
                    "last_event_id",
                    "created_at",
                    "updated_at",
                    "usage",
                    "history",
                }
            ),
        ),
        answers=(Answer(200, "The session.", sessions.SessionView),),
        errors=("session_not_found", "agent_not_found", *_WRITE),
    ),
    Route(
        name="delete_session",
        method="DELETE",
        path="/sessions/{session_id}",
        section="sessions",
        summary="Delete a session and all of it",
        description="What runs is cancelled first, and its end is waited for.",
        answers=(_DELETED,),
        errors=("session_not_found", *_WRITE),
    ),
    Route(
        name="follow_session",
        method="GET",
        path="/sessions/{session_id}/events",
        section="sessions",
        summary="Follow a session",
        description="It begins with what comes next, or after the event that is named.",
        query=sessions.EventsQuery,
        headers=(_LAST_EVENT_ID,),
        answers=(
            Answer(
                200,
                "The session's events, from run to run.",
                media_type="text/event-stream",
                frames=SESSION_STREAM,
            ),
        ),
        errors=("session_not_found", "session_quarantined", *_WRITE),
    ),
    # --- messages ---
    Route(
        name="send_message",
        method="POST",
        path="/sessions/{session_id}/message",
        section="messages",
        summary="Send a message; the answer is the result",
        body=Body(messages.MessageBody, {"message": "What is here?"}),
        headers=(_IDEMPOTENCY_KEY, _PREFER),
        answers=(
            Answer(200, "The run has ended.", Result, headers=(_RUN_LOCATION,)),
            Answer(
                202,
                "The run is admitted; the answer to `Prefer: respond-async`.",
                messages.Accepted,
                headers=(_RUN_LOCATION, _APPLIED),
            ),
        ),
        errors=(*_MESSAGE, *_RUN),
    ),
    Route(
        name="stream_message",
        method="POST",
        path="/sessions/{session_id}/message/stream",
        section="messages",
        summary="Send a message; the answer is its events",
        body=Body(messages.MessageBody, {"message": "What is here?"}),
        query=messages.StreamQuery,
        headers=(_IDEMPOTENCY_KEY,),
        answers=(
            Answer(
                200,
                "The run's events, from its admission to its end.",
                media_type="text/event-stream",
                frames=RUN_STREAM,
                headers=(_RUN_LOCATION,),
            ),
        ),
        errors=_MESSAGE,
    ),
    # --- runs ---
    Route(
        name="list_runs",
        method="GET",
        path="/runs",
        section="runs",
        summary="List runs of all sessions",
        query=runs.RunsQuery,
        answers=(Answer(200, "The newest runs.", tuple[runs.RunView, ...]),),
        errors=_STORE,
    ),
    Route(
        name="list_session_runs",
        method="GET",
        path="/sessions/{session_id}/runs",
        section="runs",
        summary="List a session's runs",
        query=runs.RunsQuery,
        answers=(Answer(200, "Its newest runs.", tuple[runs.RunView, ...]),),
        errors=("session_not_found", *_STORE),
    ),
    Route(
        name="read_run",
        method="GET",
        path="/sessions/{session_id}/runs/{run_id}",
        section="runs",
        summary="Read a run, or wait for its end",
        query=runs.RunQuery,
        answers=(Answer(200, "The run.", runs.RunView),),
        errors=("session_not_found", "run_not_found", *_STORE),
    ),
    Route(
        name="cancel_session",
        method="POST",
        path="/sessions/{session_id}/cancel",
        section="runs",
        summary="Cancel what runs in a session",
        description="It is answered when the work has really stopped, or after 5 s.",
        body=Body(runs.CancelBody, {"queued": True}, optional=True),
        answers=(Answer(200, "What was cancelled.", runs.Receipt),),
        errors=("session_not_found", *_STORE),
    ),
    Route(
        name="cancel_run",
        method="POST",
        path="/sessions/{session_id}/runs/{run_id}/cancel",
        section="runs",
        summary="Cancel one run",
        body=Body(runs.Empty, optional=True),
        answers=(Answer(200, "What was cancelled.", runs.Receipt),),
        errors=("session_not_found", "run_not_found", *_STORE),
    ),
    Route(
        name="cancel_tool",
        method="POST",
        path="/sessions/{session_id}/runs/{run_id}/tools/{tool_use_id}/cancel",
        section="runs",
        summary="Cancel one tool call",
        description="The model is told, and the run goes on.",
        body=Body(runs.Empty, optional=True),
        answers=(Answer(200, "What was cancelled.", runs.Receipt),),
        errors=("session_not_found", "run_not_found", *_STORE),
    ),
    # --- providers ---
    Route(
        name="list_providers",
        method="GET",
        path="/provider",
        section="providers",
        summary="List the providers",
        answers=(Answer(200, "All providers.", tuple[providers.ProviderView, ...]),),
    ),
    Route(
        name="read_credentials",
        method="GET",
        path="/provider/auth",
        section="providers",
        summary="Which providers are configured",
        answers=(Answer(200, "Never a key.", providers.AuthView),),
    ),
    Route(
        name="store_credentials",
        method="PUT",
        path="/provider/auth",
        section="providers",
        summary="Store credentials",
        body=Body(
            providers.AuthBody,
            {"providers": {"openai-compatible": {"base_url": "http://127.0.0.1:8080/v1"}}},
        ),
        answers=(Answer(200, "Never a key.", providers.AuthView),),
        errors=("provider_not_found", *_WRITE),
    ),
    Route(
        name="delete_credential",
        method="DELETE",
        path="/provider/auth/{name}",
        section="providers",
        summary="Remove a credential",
        answers=(_DELETED,),
        errors=("provider_not_found", "credential_not_found", *_WRITE),
    ),
    Route(
        name="read_provider",
        method="GET",
        path="/provider/{name}",
        section="providers",
        summary="Read a provider",
        answers=(Answer(200, "The provider.", providers.ProviderView),),
        errors=("provider_not_found",),
    ),
    Route(
        name="list_models",
        method="GET",
        path="/provider/{name}/models",
        section="providers",
        summary="List a provider's models",
        answers=(Answer(200, "Its models.", tuple[providers.ModelInfo, ...]),),
        errors=("provider_not_found", "provider_auth", "provider_error", "provider_timeout"),
    ),
    Route(
        name="read_model",
        method="GET",
        path="/provider/{name}/models/{model...}",
        section="providers",
        summary="Read a model",
        description="Its name may have slashes in it.",
        answers=(Answer(200, "The model.", providers.ModelInfo),),
        errors=(
            "provider_not_found",
            "model_not_found",
            "provider_auth",
            "provider_error",
            "provider_timeout",
        ),
    ),
    # --- the server itself ---
    Route(
        name="health",
        method="GET",
        path="/health",
        section="server",
        summary="Whether the process answers",
        answers=(Answer(200, "It does.", system.Health),),
        needs_token=False,
    ),
    Route(
        name="ready",
        method="GET",
        path="/ready",
        section="server",
        summary="Whether it takes messages",
        answers=(Answer(200, "It does.", system.Readiness),),
        errors=("shutting_down", "store_unavailable"),
    ),
    Route(
        name="list_tools",
        method="GET",
        path="/tools",
        section="server",
        summary="The tools that agents can have",
        answers=(Answer(200, "All tools.", tuple[system.ToolView, ...]),),
    ),
    Route(
        name="list_actors",
        method="GET",
        path="/actors",
        section="server",
        summary="The live sessions",
        answers=(Answer(200, "Their actors.", system.ActorsView),),
    ),
    Route(
        name="metrics",
        method="GET",
        path="/metrics",
        section="server",
        summary="Counts, for Prometheus",
        answers=(Answer(200, "The text format.", media_type="text/plain"),),
    ),
    Route(
        name="openapi",
        method="GET",
        path="/openapi.json",
        section="server",
        summary="This contract as an OpenAPI document",
        answers=(Answer(200, "OpenAPI 3.1.", dict[str, Any]),),
    ),
    Route(
        name="docs",
        method="GET",
        path="/docs",
        section="server",
        summary="This contract as a page",
        answers=(Answer(200, "A page.", media_type="text/html"),),
    ),
)
"""Every route that the server serves."""
