"""`GET /metrics`: what was counted, in the Prometheus text format."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from server_kit import serving
from wingman import Runtime
from wingman.agent import Agent
from wingman.errors import ProviderError
from wingman.providers import Delay, Fail, Scripted, ToolCalls
from wingman.providers.transport import Call
from wingman.server import create_app
from wingman.session import Run

AGENT = Agent(
    "Counted",
    provider=Scripted(
        [
            ToolCalls(("nope", {})),
            "Done.",
            Fail(ProviderError("It is down.", provider="scripted")),
            # The run that waits behind this one is cancelled before it can begin.
            Delay(Fail(ProviderError("It is down.", provider="scripted")), first=60),
        ]
    ),
)


async def samples(runtime: Runtime) -> dict[tuple[str, ...], float]:
    """Every sample by its name and its labels' values."""
    response = await create_app(runtime).test_client().get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = await response.get_data(as_text=True)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_runs_steps_tokens_tools_and_retries_are_counted(autojump_clock: object) -> None:
    async with Runtime(agents=[AGENT]) as runtime:
        session = await runtime.create_session(AGENT)
        result = await session.run("Go.")
        failed: Run = await session.submit("Fail.")
        await failed.wait()
        queued = [await session.submit("Wait.") for _ in range(2)]
        await queued[1].cancel()
        await queued[0].wait()
        counted = await samples(runtime)
    assert counted["wingman_runs_total", "completed"] == 1
    assert counted["wingman_runs_total", "failed"] == 2
    assert counted["wingman_runs_total", "cancelled"] == 1
    assert counted["wingman_steps_total", "scripted"] == 4
    assert counted["wingman_tool_calls_total", "error"] == 1
    assert counted["wingman_tokens_total", "input", "scripted"] >= result.usage.input_tokens
    assert counted["wingman_sessions_live",] == 1
    assert counted["wingman_runs_in_flight",] == 0
    assert counted["wingman_runs_waiting",] == 0


async def test_a_retry_is_counted_by_its_provider(autojump_clock: object) -> None:
    async with Runtime() as runtime:
        transport = runtime._root.services.model.transport
        transport._over = httpx.MockTransport(lambda request: httpx.Response(500))
        with pytest.raises(ProviderError):
            await transport.open_stream(Call("anthropic", "http://model.test/", body=b"{}"))
        counted = await samples(runtime)
    assert counted["wingman_provider_retries_total", "anthropic"] == 4


async def test_metrics_need_the_token(autojump_clock: object) -> None:
    async with serving(token="secret") as server:
        response = await server.client.get("/metrics", headers={"Authorization": "Bearer wrong"})
        assert response.status_code == 401
