"""A number without a fraction is an integer, as JSON Schema has it, however a body writes it."""

import pytest

from server_kit import Server, error_of

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("number", ["3.0", "3", "0.3e1", "30e-1"])
async def test_a_whole_number_may_be_written_with_a_point(server: Server, number: str) -> None:
    body = f'{{"name": "counter", "max_steps": {number}, "provider": {{"id": "stage"}}}}'
    made = await server.client.post("/agents", content=body, headers=JSON)
    assert made.status_code == 201, made.text
    agent = made.json()
    assert repr(agent["max_steps"]) == "3"

    target = f"/agents/{agent['id']}"
    provider = f'{{"id": "stage", "max_tokens": {number}00, "temperature": 1.0}}'
    if "e" in number:
        provider = f'{{"id": "stage", "max_tokens": {number}, "temperature": 1}}'
    changed = await server.client.put(
        target,
        content=f'{{"id": "{agent["id"]}", "max_steps": {number}, "provider": {provider}}}',
        headers=JSON,
    )
    assert changed.status_code == 200, changed.text
    assert repr(changed.json()["max_steps"]) == "3"
    assert type(changed.json()["provider"]["max_tokens"]) is int

    session = await server.session()
    sent = await server.client.post(
        f"/sessions/{session}/message",
        content=f'{{"message": "hello", "max_steps": {number}}}',
        headers=JSON,
    )
    assert sent.status_code == 200, sent.text


@pytest.mark.parametrize(
    "number", ["3.5", '"3"', '"3.0"', "true", "[3.0]", "1e-1", "0.0", "-1.0", "1e400", "1e300"]
)
@pytest.mark.parametrize("target", ["/agents", "/sessions/{session}/message"])
async def test_what_is_none_or_too_large_is_still_refused(
    server: Server, target: str, number: str
) -> None:
    target = target.format(session=await server.session())
    body = f'{{"name": "counter", "max_steps": {number}}}'
    if "message" in target:
        body = f'{{"message": "hello", "max_steps": {number}}}'
    answer = await server.client.post(target, content=body, headers=JSON)
    status, code, message = error_of(answer)
    assert (status, code) == (400, "invalid_request")
    assert "$.max_steps" in message or "out of range" in message


async def test_a_null_for_what_takes_none_is_still_refused(server: Server) -> None:
    answer = await server.client.post("/sessions", json={"title": 3.0})
    assert error_of(answer)[0] == 400
    answer = await server.client.post("/agents", json={"name": None, "max_steps": 3.0})
    assert "$.name" in error_of(answer)[2]
