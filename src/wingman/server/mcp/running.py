"""run_agent: from its arguments to a run that is admitted, and from the run's end to a result."""

from typing import Any, Final

import attrs
import msgspec
import trio
from msgspec import UNSET

from wingman.errors import InvalidRequest, NotFound, WingmanError
from wingman.runtime import Runtime
from wingman.server.mcp.clients import Call
from wingman.server.mcp.shown import cut, shown_end, shown_failure
from wingman.server.mcp.values import AgentRun, RunAgent, given
from wingman.session import Run, RunRequest

__all__ = ["Started", "failed", "run_of", "said"]

_LONGEST_TITLE: Final = 80
_NAMED: Final = 30
_DELETE_SECONDS: Final = 5


class UnknownAgent(NotFound):
    """There is no agent of this name or id; the text says which there are."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__("agent", cut(name, 100))
        there = ", ".join(known[:_NAMED]) or "none yet: make one by POST /agents"
        more = f", and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
        self.message += f" There are: {there}{more}."


@attrs.frozen
class Started:
    """A run that was admitted, and whether its end is waited for."""

    run: Run
    background: bool

    async def result(self) -> dict[str, Any]:
        """The result of the call: what the run came to or, in the background, where it stands."""
        run = self.run
        if self.background:
            shown = AgentRun(
                session_id=run.session_id, run_id=run.id, status=run.status, response=""
            )
            return _result(shown, f"The run goes on. {_named(shown)} Read it by get_session.")
        try:
            await run.result()
            result = run.recorded_outcome()
        except WingmanError as error:
            shown = shown_failure(run.session_id, run.id, run.status, error)
            text = f"{error.code}: {error.message}"
            return _result(shown, text, _named(shown), is_error=True)
        shown = shown_end(run.session_id, run.id, run.status, result)
        ended = result.stop_reason not in ("cancelled", "interrupted")
        about = [] if ended else [f"The run was {result.stop_reason}."]
        if result.detail is not None:
            about.append(result.detail)
        if shown.cut is not UNSET:
            about.append("The response is longer than that: GET /runs/" + run.id + " has it whole.")
        return _result(shown, shown.response, *about, _named(shown), is_error=not ended)


async def run_of(runtime: Runtime, call: Call, asked: RunAgent, callers: frozenset[str]) -> Started:
    """The run of a call: a new one, or the one that it has had since its request first came.

    Cancelled before this returns, the call has no run.
    """
    async with call.admission:
        if call.found is None:
            call.run = await _admit(runtime, asked, callers)
            call.found = call.run.session_id, call.run.id
        elif call.run is None:
            call.run = await runtime.run(*call.found)
        run = call.run
    if call.cancelled:
        run.request_cancel()
    await run.admitted()
    return Started(run, asked.background)


async def _admit(runtime: Runtime, asked: RunAgent, callers: frozenset[str]) -> Run:
    agent = given(asked.agent)
    agent_id = None if agent is None else _agent_id(runtime, agent)
    request = RunRequest(
        message=asked.message,
        agent_id=agent_id,
        max_steps=given(asked.max_steps),
        request_id=given(asked.request_id),
        on_busy=asked.on_busy,
        on_ask=given(asked.on_ask),
        callers=callers,
    )
    session_id = given(asked.session)
    if session_id is not None:
        if asked.work_dir is not UNSET:
            raise InvalidRequest(
                "A session has its directory: give no `work_dir` with `session` - at `$.work_dir`"
            )
        return await runtime.admit(session_id, request)
    return await _in_a_new_session(runtime, asked, request)


async def _in_a_new_session(runtime: Runtime, asked: RunAgent, request: RunRequest) -> Run:
    if request.agent_id is None:
        raise InvalidRequest("A new session needs an agent: name one - at `$.agent`")
    if request.request_id is not None:
        raise InvalidRequest("A request id is one of a session: name it - at `$.session`")
    runtime.agents.choose(request.agent_id)
    title = cut(" ".join(asked.message[: _LONGEST_TITLE * 4].split()), _LONGEST_TITLE)
    session = await runtime.create_session(
        request.agent_id, work_dir=given(asked.work_dir, "."), title=title
    )
    try:
        return await runtime.admit(session.id, request)
    except BaseException:
        # Nobody was told of the session, and it has nothing.
        with trio.move_on_after(_DELETE_SECONDS, shield=True):
            await runtime.delete(session.id)
        raise


def _agent_id(runtime: Runtime, name: str) -> str:
    """The id of an agent that is named by its id or its name. Raises `NotFound`."""
    try:
        return runtime.agents.get(name).id
    except NotFound:
        agents = runtime.agents.list()
    named = [agent.id for agent in agents if agent.name == name]
    if not named:
        raise UnknownAgent(name, [agent.name for agent in agents])
    if len(named) > 1:
        raise InvalidRequest(
            f"Several agents are named {cut(name, 100)!r}: name one by its id, which is "
            f"{' or '.join(named[:_NAMED])} - at `$.agent`"
        )
    return named[0]


def said(value: msgspec.Struct) -> dict[str, Any]:
    """The result of a tool: its value, and the same as text."""
    return _result(value, msgspec.json.encode(value).decode())


def failed(error: WingmanError) -> dict[str, Any]:
    """The result of a tool that could not do what was asked; its `_meta` is for programs."""
    about = {"code": error.code, "message": error.message}
    if error.run_id is not None:
        about["run_id"] = error.run_id
    return {
        "content": [{"type": "text", "text": f"{error.code}: {error.message}"}],
        "isError": True,
        "_meta": {"wingman/error": about},
    }


def _result(value: msgspec.Struct, *texts: str, is_error: bool = False) -> dict[str, Any]:
    return {
        "content": [{"type": "text", "text": text} for text in texts if text],
        "structuredContent": msgspec.to_builtins(value),
        "isError": is_error,
    }


def _named(run: AgentRun) -> str:
    return f"Session {run.session_id}, run {run.run_id}: {run.status}."
