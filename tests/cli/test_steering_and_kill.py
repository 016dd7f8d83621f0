"""A server that is killed between the words that steer a run and that run's reading of them."""

import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.terminal import Command, wingman
from cli.test_serve import appears, url_of

ASYNC = {"Prefer": "respond-async"}
SERVE = ("serve", "--port", "0", "--db", "w.db", "--grace", "0")
AGENT = {"name": "A", "tools": ["bash"], "provider": {"id": "scripted"}}


async def client_of(command: Command) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=await url_of(command), trust_env=False, timeout=20)


def count(history: list[dict[str, Any]], text: str) -> int:
    """How many messages of the user say just this."""
    said = [b.get("text") for m in history if m["role"] == "user" for b in m["content"]]
    return said.count(text)


@pytest.mark.parametrize("read", [False, True], ids=["not read yet", "read"])
async def test_words_are_read_once_or_run_once_over_a_kill(read: bool, tmp_path: Path) -> None:
    async with wingman(*SERVE, home=tmp_path) as command, await client_of(command) as http:
        agent_id = (await http.post("/agents", json=AGENT)).json()["id"]
        body = {"work_dir": str(tmp_path), "agent_id": agent_id}
        session_id = (await http.post("/sessions", json=body)).json()["id"]
        target = f"/sessions/{session_id}/message"
        bash = "touch began; while [ ! -e go ]; do sleep 0.02; done"
        first = await http.post(target, json={"message": f"!bash {bash}"}, headers=ASYNC)
        run_id = first.json()["run_id"]
        await appears(tmp_path / "began")
        # The demo model does what the words say as it reads them.
        words: list[dict[str, Any]] = []
        for number in range(3):
            text = f"!bash echo {number} >> told; touch told{number}; sleep 60"
            message = {"message": text, "on_busy": "steer", "request_id": f"words-{number}"}
            answer = await http.post(target, json=message, headers=ASYNC)
            assert answer.json()["disposition"] == "steered"
            words.append(message | answer.json())
        if read:
            (tmp_path / "go").touch()
            await appears(tmp_path / "told2")  # the last of them is what the model does
        os.kill(command.process.pid, signal.SIGKILL)
        await command.process.wait()
    async with wingman(*SERVE, home=tmp_path) as command, await client_of(command) as http:
        ended = await http.get(f"/sessions/{session_id}/runs/{run_id}")
        assert ended.json()["status"] == "interrupted"
        runs = {run["id"]: run for run in (await http.get(f"/sessions/{session_id}/runs")).json()}
        if read:
            assert [runs[each["run_id"]]["status"] for each in words] == ["steered"] * 3
        else:
            # Each is a run of its own now, and can be ended one by one.
            for number, each in enumerate(words):
                await appears(tmp_path / f"told{number}")
                path = f"/sessions/{session_id}/runs/{each['run_id']}"
                assert (await http.post(f"{path}/cancel")).status_code == 200
                assert (await http.get(path)).json()["status"] == "cancelled"
        # Asked for again, none is sent once more.
        for each in words:
            again = {name: each[name] for name in ("message", "on_busy", "request_id")}
            assert (await http.post(target, json=again, headers=ASYNC)).status_code == 202
        history = (await http.get(f"/sessions/{session_id}")).json()["history"]
        assert [count(history, each["message"]) for each in words] == [1, 1, 1]
