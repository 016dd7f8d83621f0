"""What an operator asks for: health, readiness, tools, the live actors."""

from server_kit import Gate, Server


async def test_health_and_readiness(server: Server) -> None:
    assert (await server.client.get("/health")).json() == {"status": "ok"}
    assert (await server.client.get("/ready")).json() == {"status": "ready"}


async def test_tools_are_listed_with_their_schemas(server: Server) -> None:
    tools = {tool["name"]: tool for tool in (await server.client.get("/tools")).json()}
    assert {"bash", "read"} <= set(tools)
    assert set(tools["bash"]) == {"name", "description", "input_schema"}
    assert tools["bash"]["input_schema"]["required"] == ["command"]


async def test_actors_shows_what_each_session_is_doing(server: Server) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play(gate)
    run_id = await server.start(session_id)
    await gate.reached.wait()
    queued = await server.start(session_id)
    view = (await server.client.get("/actors")).json()
    [actor] = [actor for actor in view["actors"] if actor["name"] == f"session {session_id}"]
    assert actor["doing"] == f"run {run_id}"
    assert actor["for_seconds"] >= 0
    assert (actor["mailbox"], actor["restarts"]) == (1, 0)
    assert view["quarantined"] == {}
    places = server.runtime.limits.runs
    assert view["runs"] == {"in_flight": 1, "places": places, "waiting": 1, "asking": 0}
    gate.open()
    await server.ended(session_id, queued)
    view = (await server.client.get("/actors")).json()
    [actor] = [actor for actor in view["actors"] if actor["name"] == f"session {session_id}"]
    assert (actor["doing"], actor["mailbox"], actor["handled"]) == (None, 0, 2)
