"""A command that sends its own session a message, and waits, is told; it does not wait for ever."""

import sys

import pytest
import trio

from server_kit import call, serving

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="who is at the other end of a socket is found on Linux alone"
)


def curl(url: str, session_id: str, message: str = "again", form: str = "message") -> str:
    """A command that sends a message to a session."""
    return (
        f"curl -s -m 20 -X POST {url}/sessions/{session_id}/{form}"
        f" -H 'Content-Type: application/json' -d '{{\"message\": \"{message}\"}}'"
    )


@pytest.mark.parametrize("form", ["message", "message/stream"])
async def test_a_command_that_waits_for_its_own_session_is_told(form: str) -> None:
    async with serving() as server:
        session_id = await server.session(tools=["bash"])
        command = curl(server.url, session_id, form=form)
        # Also where it is not the shell itself that asks, and where that has left its group.
        # Or has another environment.
        for asking in (
            command,
            f"setsid {command} | cat",
            f"env -i $(command -v curl){command[4:]}; true",
        ):
            server.stage.play(call("bash", command=asking))
            with trio.fail_after(15):
                [asked] = (await server.send(session_id)).json()["tool_calls"]
            assert '"code":"waits_for_itself"' in asked["output"]
        history = await server.history(session_id)
        assert "again" not in [b["text"] for m in history for b in m["content"] if "text" in b]


async def test_a_circle_of_commands_is_seen() -> None:
    async with serving() as server:
        first, second = [await server.session(tools=["bash"]) for _ in range(2)]
        server.stage.play(call("bash", command=curl(server.url, second)))
        server.stage.play(call("bash", command=curl(server.url, first)))
        with trio.fail_after(15):
            result = (await server.send(first)).json()
        assert "waits_for_itself" in result["tool_calls"][0]["output"]


async def test_a_command_may_ask_another_session_and_may_leave_a_message_for_its_own() -> None:
    async with serving() as server:
        session_id, other = [await server.session(tools=["bash"]) for _ in range(2)]
        command = curl(server.url, other)
        later = f"{curl(server.url, session_id, 'later')} -H 'Prefer: respond-async'"
        server.stage.play(call("bash", command=f"{command}; {later}"))
        with trio.fail_after(15):
            [asked] = (await server.send(session_id)).json()["tool_calls"]
        assert '"response":"Hello."' in asked["output"]
        assert '"status":"queued"' in asked["output"]


async def test_others_wait_for_a_session_whose_command_runs() -> None:
    async with serving() as server:
        session_id = await server.session(tools=["bash"])
        server.stage.play(call("bash", command="sleep 1"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.send, session_id)
            await trio.sleep(0.3)
            assert (await server.send(session_id, "queued")).json()["response"] == "Hello."
