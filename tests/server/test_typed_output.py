"""An agent of code whose output is of a type: over HTTP it is JSON, in every answer the same."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
import trio

from server_kit import parse_frames
from wingman import Agent, Runtime
from wingman.providers import Scripted
from wingman.server import serve

pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")


class Model(pydantic.BaseModel):
    city: str
    days: int = pydantic.Field(1, alias="numberOfDays")
    key: pydantic.SecretStr = pydantic.SecretStr("hidden")


@dataclasses.dataclass
class Data:
    city: str
    days: int = 1


@asynccontextmanager
async def served(agent: Agent) -> AsyncIterator[httpx.AsyncClient]:
    async with Runtime(agents=[agent]) as runtime, trio.open_nursery() as nursery:
        shutdown = trio.Event()
        url = await nursery.start(partial(serve, runtime, port=0, grace=0, shutdown=shutdown))
        async with httpx.AsyncClient(base_url=url, timeout=20) as http:
            yield http
        shutdown.set()


@pytest.mark.parametrize("kind", [Model, Data, list[Model] | Model], ids=str)
async def test_the_output_is_json_in_the_answer_the_stream_the_run_and_a_replay(kind: Any) -> None:
    said = {"city": "Bern"}
    script = ['{"city": "Bern"}'] * 2
    agent = Agent("forecaster", provider=Scripted(script), output_schema=kind)
    async with served(agent) as http:
        shown = (await http.get("/agents/forecaster")).json()
        assert agent.output_check is not None
        assert shown["output_schema"] == agent.output_check.schema
        session = (await http.post("/sessions", json={"agent_id": "forecaster"})).json()["id"]
        target = f"/sessions/{session}/message"
        answer = await http.post(target, json={"message": "go", "request_id": "1"})
        assert (answer.status_code, answer.json()["output"]) == (200, said)
        run = await http.get(f"/sessions/{session}/runs/{answer.json()['run_id']}")
        assert run.json()["result"] == answer.json()
        replayed = await http.post(f"{target}/stream", json={"message": "go", "request_id": "1"})
        assert parse_frames(replayed.text)[-1].data == answer.json()
        streamed = await http.post(f"{target}/stream", json={"message": "go"})
        assert parse_frames(streamed.text)[-1].data["output"] == said
