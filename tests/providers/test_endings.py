"""What is not recognised is no success: reasons, ends with nothing, errors in any shape."""

import json
from collections.abc import Callable

import attrs
import httpx
import pytest

from provider_wires import (
    RESPONSES_START,
    anthropic_block,
    anthropic_end,
    gemini_chunk,
    message_start,
    ndjson,
    ollama_done,
    ollama_said,
    openai_delta,
    responses_end,
    responses_said,
    sse,
)
from wingman.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderStreamError,
)
from wingman.providers import (
    Anthropic,
    Finished,
    Gemini,
    Ollama,
    OpenAI,
    OpenAICompatible,
    Provider,
    Retry,
    TextDelta,
    Transport,
)


@attrs.frozen
class Wire:
    """A protocol: who speaks it, its beginning with one text `It`, and an end for a reason."""

    provider: Provider
    begun: bytes
    end: Callable[[str | None], bytes]
    named: bool = True

    def event(self, value: object) -> bytes:
        """A value as an event."""
        return ndjson(value) if self.provider.id == "ollama" else sse(value, named=self.named)


def _anthropic_end(reason: str | None) -> bytes:
    return sse(*anthropic_end(reason or "")) if reason else sse({"type": "message_stop"})


def _responses_end(reason: str | None) -> bytes:
    if reason is None:
        return sse(responses_end())
    return sse(responses_end("incomplete", incomplete_details={"reason": reason}))


def _gemini_end(reason: str | None) -> bytes:
    return sse(gemini_chunk(reason=reason)) if reason else b""


def _ollama_end(reason: str | None) -> bytes:
    line = ollama_done(reason or "")
    if reason is None:
        line = {"done": True}
    return ndjson(line)


def _chat_end(reason: str | None) -> bytes:
    end = [openai_delta(reason)] if reason else []
    return sse(*end, "[DONE]", named=False)


WIRES = {
    "anthropic": Wire(
        Anthropic("m", api_key="k", base_url="http://model.test"),
        sse(
            message_start(input_tokens=1),
            *anthropic_block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "It"}),
        ),
        _anthropic_end,
    ),
    "chat": Wire(
        OpenAICompatible("m", base_url="http://model.test"),
        sse(openai_delta(content="It"), named=False),
        _chat_end,
        named=False,
    ),
    "responses": Wire(
        OpenAI("m", api_key="k", base_url="http://model.test", api="responses"),
        sse(RESPONSES_START, *responses_said(0, "It")),
        _responses_end,
    ),
    "gemini": Wire(
        Gemini("m", api_key="k", base_url="http://model.test"),
        sse(gemini_chunk({"text": "It"})),
        _gemini_end,
    ),
    "ollama": Wire(
        Ollama("m", base_url="http://model.test"),
        ndjson(ollama_said(content="It")),
        _ollama_end,
    ),
}


@pytest.fixture(params=WIRES)
def wire(request) -> Wire:
    return WIRES[request.param]


async def parts_of(wire: Wire, ask, body: bytes, **headers: str) -> list:
    def answer(request: httpx.Request) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Response(200, content=body, headers=given)

    network = httpx.MockTransport(answer)
    async with Transport(over=network, retry=Retry(attempts=1)) as transport:
        return [part async for part in wire.provider.stream(ask("Rain?"), transport)]


# --- reasons --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason",
    [
        "abort",
        "error",
        "function_call_filter: MALFORMED_FUNCTION_CALL",
        "network_error",
        "insufficient_system_resource",
        "SOME_LATER_REASON",
        "cancelled",
        "repetition",
        "length_error",
    ],
)
async def test_a_reason_that_is_not_known_is_a_failure_that_names_it(wire, ask, reason):
    with pytest.raises(ProviderStreamError) as caught:
        await parts_of(wire, ask, wire.begun + wire.end(reason))
    assert reason in caught.value.message
    assert caught.value.error_type == reason


@pytest.mark.parametrize(
    "reason",
    [
        "length",
        "max_tokens",
        "MAX_TOKENS",
        "max_output_tokens",
        "max_completion_tokens",
        "max_new_tokens",
        "token_limit",
        "token_limit_reached",
        "model_length",
        "model_context_window_exceeded",
        "context_length_exceeded",
        "max_context_length",
        "maxPredictedTokensReached",
        "REASON_MAX_LEN",
        "FINISH_REASON_MAX_TOKENS",
    ],
)
async def test_a_length_by_any_name_is_max_tokens(wire, ask, reason):
    parts = await parts_of(wire, ask, wire.begun + wire.end(reason))
    assert parts[-1] == Finished("max_tokens")


@pytest.mark.parametrize(
    "reason", ["content_filter", "refusal", "safety", "content_filter: SAFETY", "content-filter"]
)
async def test_a_filter_by_any_name_is_a_refusal(wire, ask, reason):
    parts = await parts_of(wire, ask, wire.begun + wire.end(reason))
    assert parts[-1] == Finished("refusal")


@pytest.mark.parametrize("reason", ["stop", "STOP", "end_turn", "eos", "eos_token", "COMPLETE"])
@pytest.mark.parametrize("name", ["anthropic", "chat", "gemini", "ollama"])
async def test_an_end_by_any_name_is_one(name, ask, reason):
    wire = WIRES[name]
    parts = await parts_of(wire, ask, wire.begun + wire.end(reason))
    assert parts[-1] == Finished("end_turn")


@pytest.mark.parametrize("word", ["null", "none", ""])
async def test_a_word_for_no_reason_is_none(ask, word):
    wire = WIRES["chat"]
    going_on = sse(openai_delta(word, content="It "), named=False)
    parts = await parts_of(wire, ask, going_on + wire.begun + wire.end("stop"))
    assert [part.text for part in parts if isinstance(part, TextDelta)] == ["It ", "It"]
    with pytest.raises(ProviderStreamError, match="ended before"):
        await parts_of(wire, ask, going_on)


async def test_a_reason_may_be_an_object(ask):
    wire = WIRES["chat"]
    chunk = openai_delta(content="It")
    chunk["choices"][0]["finish_reason"] = {"type": "length", "length": 5}
    parts = await parts_of(wire, ask, sse(chunk, "[DONE]", named=False))
    assert parts[-1] == Finished("max_tokens")


async def test_a_gemini_that_does_not_say_its_reason_has_not_ended(ask):
    wire = WIRES["gemini"]
    unsaid = wire.end("FINISH_REASON_UNSPECIFIED")
    with pytest.raises(ProviderStreamError, match="ended before"):
        await parts_of(wire, ask, wire.begun + unsaid)
    parts = await parts_of(wire, ask, unsaid + wire.begun + wire.end("STOP"))
    assert parts[-1] == Finished("end_turn")


@pytest.mark.parametrize("kind", ["completed", "done"])
@pytest.mark.parametrize("status", ["failed", "cancelled", "queued", "in_progress", "expired"])
async def test_a_responses_end_that_is_no_completion_is_a_failure(ask, kind, status):
    end = responses_end(status) | {"type": f"response.{kind}"}
    with pytest.raises(ProviderStreamError, match=f"the response is {status}"):
        await parts_of(WIRES["responses"], ask, WIRES["responses"].begun + sse(end))


@pytest.mark.parametrize("kind", ["cancelled", "failed"])
async def test_a_response_that_was_cancelled_or_failed_is_a_failure(ask, kind):
    with pytest.raises(ProviderStreamError, match=f"the response is {kind}"):
        await parts_of(WIRES["responses"], ask, sse(responses_end(kind)))


async def test_a_responses_end_by_another_name_goes_by_its_status(ask):
    wire = WIRES["responses"]
    incomplete = responses_end("incomplete", incomplete_details={"reason": "max_output_tokens"})
    for end, reason in (
        (responses_end(), "end_turn"),
        (incomplete, "max_tokens"),
    ):
        parts = await parts_of(wire, ask, wire.begun + sse(end | {"type": "response.done"}))
        assert parts[-1] == Finished(reason)


# --- ends with nothing ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["anthropic", "chat", "ollama"])
async def test_an_end_with_nothing_before_it_is_no_answer(name, ask):
    wire = WIRES[name]
    with pytest.raises(ProviderStreamError, match="nothing in it but its end"):
        await parts_of(wire, ask, wire.end(None))
    assert (await parts_of(wire, ask, wire.begun + wire.end(None)))[-1] == Finished("end_turn")


@pytest.mark.parametrize("name", ["anthropic", "responses", "gemini"])
async def test_done_alone_is_no_end_where_the_protocol_has_another(name, ask):
    with pytest.raises(ProviderStreamError, match="ended before"):
        await parts_of(WIRES[name], ask, b"data: [DONE]\n\n")


@pytest.mark.parametrize("body", [b"", b"\n\n", b": ping\n\n", b"data: ping\n\n"])
async def test_a_stream_of_nothing_is_a_broken_one(wire, ask, body):
    with pytest.raises(ProviderStreamError, match="ended before"):
        await parts_of(wire, ask, body)


async def test_usage_alone_is_no_answer(ask):
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 0}}
    with pytest.raises(ProviderStreamError, match="nothing in it"):
        await parts_of(WIRES["chat"], ask, sse(usage, "[DONE]", named=False))


# --- errors in the stream -------------------------------------------------------------------------

SHAPES = [
    {"error": "Out of cards."},
    {"error": {"message": "Out of cards."}},
    {"error": {"error": {"message": "Out of cards."}}},
    {"error": {"message": {"text": "Out of cards."}}},
    {"error": {"msg": "Out of cards.", "code": 1}},
    {"error": ["Out of cards."]},
    {"error": [{"message": "Out of cards."}]},
    {"error": json.dumps({"error": {"message": "Out of cards."}})},
    {"error": {"message": json.dumps({"detail": "Out of cards."})}},
    {"error": True, "message": "Out of cards."},
    {"error": "Bad", "message": "Out of cards."},
    {"errors": [{"code": 7, "message": "Out of cards."}], "success": False},
    {"object": "error", "message": "Out of cards.", "code": 40303},
    {"type": "error", "message": "Out of cards."},
    {"type": "error", "error": {"type": "x", "message": "Out of cards."}},
    {"type": "error", "error": "Out of cards."},
    {"detail": "Out of cards."},
    {"detail": [{"loc": ["body"], "msg": "Out of cards."}]},
    {"message": "Out of cards."},
    {"msg": "Out of cards.", "code": 1},
    {"errorMessage": "Out of cards."},
    {"base_resp": {"status_code": 1008, "status_msg": "Out of cards."}},
    {"code": 503, "message": "Out of cards."},
    {"type": "about:blank", "title": "Bad", "status": 503, "detail": "Out of cards."},
    {"fault": {"faultstring": "Out of cards.", "detail": {"errorcode": "x"}}},
    {"error": {"message": "Failed", "metadata": {"raw": '{"error": "Out of cards."}'}}},
    [{"error": {"message": "Out of cards.", "code": 503}}],
]


@pytest.mark.parametrize("shape", SHAPES, ids=json.dumps)
async def test_an_error_in_a_stream_is_found_in_every_shape(wire, ask, shape):
    body = ndjson(shape) if wire.provider.id == "ollama" else sse(shape, named=False)
    for before in (b"", wire.begun):
        with pytest.raises(ProviderError, match="Out of cards") as caught:
            await parts_of(wire, ask, before + body + wire.end("stop"))
        assert "{" not in caught.value.message


@pytest.mark.parametrize("name", ["anthropic", "chat", "responses", "gemini"])
@pytest.mark.parametrize(
    "event",
    [
        b"event: error\ndata: Out of cards.\n\n",
        b'event: error\ndata: "Out of cards."\n\n',
        b'event: error\ndata: {"message": "Out of cards."}\n\n',
        b'event: error\ndata: {"error": "Out of cards."}\n\n',
        b'error: {"code": 500, "message": "Out of cards."}\n\n',
        b'{"error": {"message": "Out of cards."}}\n\n',
        b'{\n  "error": {\n    "message": "Out of cards."\n  }\n}\n',
        b"Out of cards.\n",
        b"<html><head><title>Out of cards.</title></head></html>\n",
    ],
)
async def test_an_event_or_a_line_that_is_an_error_is_one(name, ask, event):
    wire = WIRES[name]
    for before in (b"", wire.begun):
        with pytest.raises(ProviderError, match="Out of cards") as caught:
            await parts_of(wire, ask, before + event)
        assert "<" not in caught.value.message


async def test_an_error_within_a_choice_is_one(ask):
    chunk = openai_delta("error", content="")
    chunk["choices"][0]["error"] = {"code": 502, "message": "Behind it, all is dark."}
    with pytest.raises(ProviderStreamError, match="all is dark"):
        await parts_of(WIRES["chat"], ask, sse(chunk, named=False))


@pytest.mark.parametrize("error", [None, False, "", []])
async def test_no_error_is_none(wire, ask, error):
    ping = {"error": error, "type": "later"} if wire.named else {"error": error, "choices": []}
    parts = await parts_of(wire, ask, wire.event(ping) + wire.begun + wire.end("length"))
    assert parts[-1] == Finished("max_tokens")


@pytest.mark.parametrize(
    ("error", "kind", "refused"),
    [
        ({"type": "overloaded_error"}, ProviderStreamError, False),
        ({"type": "rate_limit_error"}, ProviderStreamError, False),
        ({"code": "rate_limit_exceeded"}, ProviderStreamError, False),
        ({"code": 429}, ProviderStreamError, False),
        ({"code": "503"}, ProviderStreamError, False),
        ({"type": "something else"}, ProviderStreamError, False),
        ({"code": "insufficient_quota"}, ProviderRateLimited, False),
        ({"code": 429, "type": "insufficient_quota"}, ProviderRateLimited, False),
        ({"type": "authentication_error"}, ProviderAuthError, False),
        ({"code": 401}, ProviderAuthError, False),
        ({"code": "model_not_found"}, ProviderRejected, False),
        ({"code": 404}, ProviderRejected, False),
        ({"type": "invalid_request_error"}, ProviderRejected, True),
        ({"code": 400, "status": "INVALID_ARGUMENT"}, ProviderRejected, True),
        ({"code": "invalid_image_format"}, ProviderRejected, True),
        ({"code": "image_too_large"}, ProviderRejected, True),
        ({"code": "context_length_exceeded"}, ProviderRejected, True),
    ],
)
async def test_what_kind_of_error_a_stream_reports_and_whether_it_may_pass(
    wire, ask, error, kind, refused
):
    body = wire.event({"error": error | {"message": "No."}})
    with pytest.raises(ProviderError, match=r"No\.") as caught:
        await parts_of(wire, ask, body)
    assert type(caught.value) is kind
    assert caught.value.refused == refused


async def test_what_is_said_of_an_error_is_short(wire, ask):
    body = wire.event({"error": {"message": "x" * 5000, "type": "t" * 5000}})
    with pytest.raises(ProviderError) as caught:
        await parts_of(wire, ask, body)
    assert len(str(caught.value)) < 2000
