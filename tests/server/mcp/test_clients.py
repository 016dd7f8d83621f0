"""MCP sessions: how many there are, for how long, and what is known of their calls."""

import pytest
import trio
from trio.testing import MockClock

from wingman.errors import NotFound
from wingman.server.mcp.clients import Clients, Waiting
from wingman.server.mcp.jsonrpc import Refused


async def test_the_one_that_was_used_least_recently_gives_way() -> None:
    clients = Clients(most=3)
    first, second, third = (clients.begin().id for _ in range(3))
    clients.find(first)
    clients.begin()
    assert len(clients) == 3
    with pytest.raises(NotFound, match="There is no MCP session"):
        clients.find(second)
    clients.find(first)
    clients.find(third)


async def test_one_that_waits_for_a_run_does_not_give_way() -> None:
    clients = Clients(most=2)
    busy = clients.begin()
    waiting = Waiting(busy.call(1, {}))
    clients.begin()
    clients.begin()
    assert clients.find(busy.id) is busy
    second = Waiting(clients.begin().call(1, {}))
    with pytest.raises(Refused, match="as many MCP sessions") as refused:
        clients.begin()
    assert refused.value.status == 503
    waiting.answered()
    second.answered()
    clients.begin()
    assert len(clients) == 2


async def test_one_that_is_idle_for_long_is_forgotten(autojump_clock: MockClock) -> None:
    clients = Clients(idle_seconds=10)
    first, second = clients.begin().id, clients.begin().id
    await trio.sleep(9)
    clients.find(first)
    await trio.sleep(9)
    clients.find(first)
    assert len(clients) == 1
    with pytest.raises(NotFound):
        clients.find(second)


async def test_a_few_calls_are_known_after_their_end() -> None:
    client = Clients().begin()
    running = client.call("running", {"message": "x"})
    Waiting(running)
    for id in range(100):
        Waiting(client.call(id, {"message": "x"})).answered()
    assert client.call(99, {"message": "x"}).waiting == 0
    assert client.call("running", {"message": "x"}) is running
    assert len(client._calls) <= 18
