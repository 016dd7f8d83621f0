"""Structured output: a final response is parsed and checked, and asked for again once."""

import sys
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from session_kit import TOOLS, assert_sendable, assert_valid, opened, requests_of
from wingman import Agent, Limits, Session
from wingman.errors import OutputInvalid
from wingman.events import Done, Error, Event
from wingman.providers import Delay, Finished, Parts, Scripted, TextDelta, ToolCalls
from wingman.providers.scripted import Script

RAIN = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "array", "items": {"minimum": 1}}},
    "required": ["city"],
    "additionalProperties": False,
}


def forecaster(script: Script, schema: dict[str, Any] = RAIN, **options: Any) -> Agent:
    return Agent(
        "forecaster", provider=Scripted(script), tools=TOOLS, output_schema=schema, **options
    )


async def test_a_response_that_fits_is_the_results_output() -> None:
    agent = forecaster([ToolCalls(("say", {"text": "rain"})), '{"city": "Bern", "days": [1, 2]}'])
    async with Session(agent) as session:
        result = await session.run("go")
        assert result.output == {"city": "Bern", "days": [1, 2]}
        assert result.response == '{"city": "Bern", "days": [1, 2]}'
        assert (result.stop_reason, result.steps) == ("end_turn", 2)


async def test_a_fence_around_the_whole_response_is_taken_off() -> None:
    async with Session(forecaster(['```json\n{"city": "Bern"}\n```'])) as session:
        assert (await session.run("go")).output == {"city": "Bern"}


async def test_without_a_schema_there_is_no_output() -> None:
    async with Session(Agent("a", provider=Scripted(['{"city": "Bern"}']))) as session:
        assert (await session.run("go")).output is None


async def test_one_that_does_not_fit_is_corrected_once_and_the_model_is_told_where() -> None:
    agent = forecaster(['{"days": [0]}', '{"city": "Bern"}', "next"])
    async with Session(agent) as session:
        result = await session.run("go")
        assert (result.output, result.response) == ({"city": "Bern"}, '{"city": "Bern"}')
        assert (result.stop_reason, result.steps) == ("end_turn", 2)
        told = requests_of(agent)[1]
        assert_sendable(told)
        assert told[1].text == '{"days": [0]}'
        assert '"city" is a required property - at `$`' in told[2].text
        assert "0 is less than the minimum of 1 - at `$.days[0]`" in told[2].text
        assert list(await session.history())[:-1] == list(told)


async def test_what_is_no_json_is_told_so_also_where_nothing_was_said() -> None:
    agent = forecaster(["", '{"city": "Bern"}'])
    async with Session(agent) as session:
        assert (await session.run("go")).output == {"city": "Bern"}
        assert "It is not JSON" in requests_of(agent)[1][-1].text
        assert_sendable(requests_of(agent)[1])


async def test_the_second_that_does_not_fit_fails_the_run_and_its_text_is_kept() -> None:
    agent = forecaster(["rain", "more rain", '{"city": "Bern"}'])
    async with opened(agent) as runtime:
        session = await runtime.create_session(agent)
        run = await session.submit("go")
        with pytest.raises(OutputInvalid, match="It is not JSON"):
            await run.result()
        assert run.status == "failed"
        assert run.record.error is not None
        assert (run.record.error.code, run.record.steps) == ("output_invalid", 2)
        history = await session.history()
        assert_valid(history)
        assert [message.text for message in history[1::2]] == ["rain", "more rain"]
        assert history[-1].cut_short is None
        assert (await session.run("again")).output == {"city": "Bern"}


async def test_a_streamed_run_ends_with_the_same_output_or_the_same_error() -> None:
    async with Session(forecaster(["rain", '{"city": "Bern"}', "rain", "rain"])) as session:
        events: list[Event] = []
        async with session.run_stream("go") as stream:
            events += [event async for event in stream]
        last = events[-1]
        assert isinstance(last, Done)
        assert last.result.output == stream.result.output == {"city": "Bern"}
        async with session.run_stream("go") as stream:
            with pytest.raises(OutputInvalid):
                events += [event async for event in stream]
        assert not any(isinstance(event, Error) for event in events)


async def test_tools_may_be_called_again_before_the_correction() -> None:
    call = ToolCalls(("say", {"text": "rain"}))
    async with Session(forecaster(["rain", call, '{"city": "Bern"}'])) as session:
        result = await session.run("go")
        assert (result.output, result.steps) == ({"city": "Bern"}, 3)
        assert [call.output for call in result.tool_calls] == ["rain"]


async def test_a_cancel_during_the_correction_keeps_a_history_that_can_be_sent(
    autojump_clock: MockClock,
) -> None:
    agent = forecaster(["rain", Delay('{"city": "Bern"}', first=5), '{"city": "Bern"}'])
    async with Session(agent) as session:
        run = await session.submit("go")
        await trio.sleep(1)
        await run.cancel()
        result = await run.result()
        assert (result.stop_reason, result.response, result.output) == ("cancelled", "rain", None)
        assert (await session.run("again")).output == {"city": "Bern"}
        assert_sendable(requests_of(agent)[-1])


async def test_the_correction_is_a_step_and_the_step_limit_counts_it() -> None:
    async with Session(forecaster(["rain"], max_steps=1)) as session:
        result = await session.run("go")
        assert (result.stop_reason, result.output) == ("step_limit", None)
        assert result.response == "rain"
        assert_valid(await session.history())


async def test_the_token_limit_holds_before_the_correction() -> None:
    async with Session(forecaster(["rain" * 100]), limits=Limits(tokens=50)) as session:
        assert (await session.run("go")).stop_reason == "token_limit"


@pytest.mark.parametrize("reason", ["max_tokens", "refusal"])
async def test_a_response_that_the_model_did_not_finish_is_not_judged(reason: str) -> None:
    parts = Parts(TextDelta('{"ci'), Finished(reason))  # type: ignore[arg-type]
    async with Session(forecaster([parts])) as session:
        result = await session.run("go")
        assert (result.stop_reason, result.output) == (reason, None)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objct"}, r"objct.* at `\$\.output_schema\.type`"),
        ({"properties": {"a": {"type": 5}}}, r"at `\$\.output_schema\.properties\.a\.type`"),
        ({"$ref": "#/nowhere"}, "nowhere"),
        ({"pattern": "("}, r"at `\$\.output_schema\.pattern`"),
        ({"$ref": "http://localhost:1/x"}, "nothing is fetched"),
        ({"properties": {"x": {"$ref": "file:///etc/passwd"}}}, "nothing is fetched"),
        ({"enum": [object()]}, r"at `\$\.output_schema`"),
    ],
)
def test_a_bad_schema_is_refused_when_the_agent_is_made(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        forecaster([], schema)


async def test_no_response_can_break_the_check() -> None:
    deep = "[" * 100_000
    long = '"' + "a" * 50_000 + 'b"'
    agent = forecaster([deep, long, "1e999", long], {"type": "string", "pattern": "^(a+)+$"})
    async with Session(agent) as session:
        for _ in range(2):
            with pytest.raises(OutputInvalid) as caught:
                await session.run("go")
            assert len(caught.value.message) < 1000


def test_who_has_no_schema_does_not_pay_for_the_validator() -> None:
    import subprocess

    code = (
        "import sys, wingman; from wingman.providers import Keyless; "
        "wingman.Agent('a', provider=Keyless()); sys.exit('jsonschema_rs' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
