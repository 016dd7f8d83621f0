"""Structured output over HTTP."""

from server_kit import Server, error_of

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


async def test_the_parsed_value_is_in_the_answer_in_done_and_in_the_run(server: Server) -> None:
    session_id = await server.session(output_schema=SCHEMA)
    for _ in range(2):
        server.stage.play("rain")
        server.stage.play('{"city": "Bern"}')
    answer = await server.send(session_id, request_id="1")
    assert (answer.status_code, answer.json()["output"]) == (200, {"city": "Bern"})
    run_id = answer.json()["run_id"]
    run = await server.client.get(f"/sessions/{session_id}/runs/{run_id}")
    assert run.json()["result"] == answer.json()
    frames = await server.streamed(session_id)
    assert frames[-1].data["output"] == {"city": "Bern"}
    again = await server.streamed(session_id, request_id="1")
    assert again[-1].data == answer.json()


async def test_without_a_schema_there_is_no_such_field(server: Server) -> None:
    answer = await server.send(await server.session())
    assert "output" not in answer.json()


async def test_what_does_not_fit_twice_is_a_502_and_a_failed_run(server: Server) -> None:
    session_id = await server.session(output_schema=SCHEMA)
    server.stage.play("rain")
    server.stage.play("{}")
    answer = await server.send(session_id)
    assert error_of(answer)[:2] == (502, "output_invalid")
    assert '"city" is a required property' in answer.json()["error"]["message"]
    texts = [message["content"][0]["text"] for message in await server.history(session_id)]
    assert texts[1::2] == ["rain", "{}"]


async def test_a_bad_schema_is_refused_with_its_path(server: Server) -> None:
    bad = {"type": "object", "properties": {"a": {"type": "strin"}}}
    answer = await server.client.post("/agents", json={"name": "x", "output_schema": bad})
    assert error_of(answer)[:2] == (400, "invalid_request")
    assert "at `$.output_schema.properties.a.type`" in answer.json()["error"]["message"]
    agent_id = await server.agent(output_schema=SCHEMA)
    away = {"$ref": "http://127.0.0.1:1/schema.json"}
    answer = await server.client.put(f"/agents/{agent_id}", json={"output_schema": away})
    assert error_of(answer)[:2] == (400, "invalid_request")
    kept = (await server.client.get(f"/agents/{agent_id}")).json()
    assert kept["output_schema"] == SCHEMA
