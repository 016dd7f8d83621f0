"""A runtime with an agent of code, served over HTTP and asked by HTTP.

Run it: python examples/serve_runtime.py
"""

from functools import partial

import httpx
import trio

from wingman import Agent, Runtime, tool
from wingman.providers import Keyless
from wingman.server import serve

STOCK = {"apples": 3, "pears": 0}


@tool
async def stock(item: str) -> dict[str, int]:
    """How many of an item there are."""
    return {item: STOCK.get(item, 0)}


async def ask(url: str) -> None:
    """What any HTTP client does: a session for the agent, a message, and its events."""
    async with httpx.AsyncClient(base_url=url) as http:
        print("ready:", (await http.get("/ready")).json()["status"])
        session = (await http.post("/sessions", json={"agent_id": "Grocer"})).json()
        path = f"/sessions/{session['id']}/message"
        result = (await http.post(path, json={"message": "!stock apples"})).json()
        print(result["tool_calls"][0]["output"])
        async with http.stream("POST", f"{path}/stream", json={"message": "!stock pears"}) as sse:
            async for line in sse.aiter_lines():
                if line.startswith(("event: tool", "event: done")):
                    print(line)
        refused = await http.post(path, json={"message": ""})
        print(refused.status_code, refused.json()["error"]["code"])


async def main() -> None:
    """Serve on a free port until the client is done."""
    agent = Agent("Grocer", provider=Keyless(), tools=[stock])
    async with Runtime(agents=[agent]) as runtime, trio.open_nursery() as nursery:
        shutdown = trio.Event()
        url = await nursery.start(partial(serve, runtime, port=0, grace=1, shutdown=shutdown))
        await ask(url)
        shutdown.set()


if __name__ == "__main__":
    trio.run(main)
