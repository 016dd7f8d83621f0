"""What an operator asks for, as the contract has it."""

from typing import Any, Final, Literal

import msgspec

from wingman.api.route import Answer, Route

__all__ = [
    "ROUTES",
    "ActorView",
    "ActorsView",
    "Health",
    "Readiness",
    "Reloaded",
    "RunCounts",
    "ToolView",
]


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, frozen=True):
    """The server takes messages."""

    status: Literal["ready"] = "ready"


class ToolView(msgspec.Struct, frozen=True):
    """A tool that agents can have. `input_schema` is a JSON Schema."""

    name: str
    description: str
    input_schema: dict[str, Any]


class ActorView(msgspec.Struct, frozen=True):
    """A live actor: `mailbox` messages wait; `doing` is the run in flight, for so many seconds."""

    name: str
    state: Literal["starting", "idle", "processing", "restarting", "stopping"]
    mailbox: int
    doing: str | None
    for_seconds: float | None
    handled: int
    restarts: int


class RunCounts(msgspec.Struct, frozen=True):
    """How many runs of the process are `in_flight`, of `places` that there are; how many are
    `waiting` for their turn; and how many have left their place, `asking` people for an answer."""

    in_flight: int
    places: int
    waiting: int
    asking: int


class ActorsView(msgspec.Struct, frozen=True):
    """The live actors; `quarantined` has the sessions that are set aside, each with the reason.

    `runs` is None where the server is too old to say it.
    """

    actors: tuple[ActorView, ...]
    dead_letters: int
    quarantined: dict[str, str]
    runs: RunCounts | None = None


class Reloaded(msgspec.Struct, frozen=True):
    """The configuration in `file` was read again. `changed` are the keys that say something else
    than before, and that now hold; `needs_restart` those that the server reads at its start only,
    and that say something else than it was started with."""

    file: str
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="health",
        method="GET",
        path="/health",
        section="server",
        summary="Whether the process answers",
        answers=(Answer(200, "It does.", Health),),
        needs_token=False,
        ignores_query=True,  # whoever watches a server adds what it likes
    ),
    Route(
        name="ready",
        method="GET",
        path="/ready",
        section="server",
        summary="Whether it takes messages",
        answers=(Answer(200, "It does.", Readiness),),
        errors=("shutting_down", "store_unavailable"),
    ),
    Route(
        name="list_tools",
        method="GET",
        path="/tools",
        section="server",
        summary="The tools that agents can have",
        description="They are those that the program has: the list has no pages.",
        answers=(Answer(200, "All tools.", tuple[ToolView, ...]),),
    ),
    Route(
        name="list_actors",
        method="GET",
        path="/actors",
        section="server",
        summary="The live sessions",
        description="They are those in memory, as of one moment: there are no pages.",
        answers=(Answer(200, "Their actors.", ActorsView),),
    ),
    Route(
        name="reload",
        method="POST",
        path="/reload",
        section="server",
        summary="Read the configuration again",
        description="All of it is checked before anything changes; where it has a mistake, it "
        "stays as it was. No run is touched: those that are admitted keep the agent that they "
        "have.",
        answers=(Answer(200, "What has changed.", Reloaded),),
        errors=("not_reloaded", "forbidden_tool"),
    ),
    Route(
        name="metrics",
        method="GET",
        path="/metrics",
        section="server",
        summary="Counts, for Prometheus",
        answers=(Answer(200, "The text format.", media_types=("text/plain",)),),
    ),
    Route(
        name="openapi",
        method="GET",
        path="/openapi.json",
        section="server",
        summary="This contract as an OpenAPI document",
        answers=(Answer(200, "OpenAPI 3.1.", dict[str, Any]),),
        needs_token=False,
    ),
    Route(
        name="docs",
        method="GET",
        path="/docs",
        section="server",
        summary="This contract as a page",
        answers=(Answer(200, "A page.", media_types=("text/html",)),),
        needs_token=False,
    ),
    Route(
        name="docs_asset",
        method="GET",
        path="/docs/{asset}",
        section="server",
        summary="A file of that page",
        answers=(
            Answer(200, "The file.", media_types=("text/css", "text/javascript", "image/png")),
        ),
        errors=("asset_not_found",),
        needs_token=False,
    ),
)
