"""Google's Gemini API: a request as its JSON, its chunks as parts."""

import httpx
import pytest

from provider_wires import gemini_call, gemini_chunk, gemini_text, sse
from wingman.conversation import (
    ImageBlock,
    Message,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)
from wingman.errors import ProviderAuthError, ProviderNotConfigured
from wingman.providers import (
    Finished,
    Gemini,
    ModelInfo,
    ProviderRegistry,
    Retry,
    TextDelta,
    ThinkingDelta,
    Transport,
    UsageUpdate,
)
from wingman.providers.gemini import NO_SIGNATURE, GeminiTranslator, gemini_body
from wingman.providers.wire import CallIds
from wingman.sse import Fault, SSEDecoder


def parts_of(*events: object, tools: tuple[str, ...] = ("forecast",)) -> list:
    translator = GeminiTranslator(CallIds(), tools)
    parts = [part for event in SSEDecoder().feed(sse(*events)) for part in translator.feed(event)]
    return [*parts, *translator.end()]


def without_usage(parts: list) -> list:
    return [part for part in parts if not isinstance(part, UsageUpdate)]


# --- events → parts -------------------------------------------------------------------------------


def test_text_and_usage_that_counts_the_thoughts_as_output():
    parts = parts_of(gemini_chunk({"text": "It "}), gemini_chunk({"text": "rains."}, reason="STOP"))
    used = UsageUpdate(Usage(12, 5, cache_read_tokens=5, reasoning_tokens=2))
    assert parts == [used, TextDelta("It "), used, TextDelta("rains."), Finished("end_turn")]


def test_what_tools_of_the_api_read_counts_as_input_and_counts_may_be_absent():
    usage = {"promptTokenCount": 3, "toolUsePromptTokenCount": 4}
    chunk = gemini_chunk(reason="STOP") | {"usageMetadata": usage}
    assert parts_of(chunk) == [UsageUpdate(Usage(7, 0)), Finished("end_turn")]


def test_thoughts_come_in_pieces_and_are_closed_by_what_follows_or_by_their_signature():
    parts = parts_of(
        gemini_chunk({"text": "Hm", "thought": True}),
        gemini_chunk({"text": "m.", "thought": True}),
        gemini_chunk({"text": "So."}),
        gemini_chunk({"text": "Signed.", "thought": True, "thoughtSignature": "c2ln"}),
        gemini_chunk(reason="STOP"),
    )
    assert without_usage(parts) == [
        ThinkingDelta("Hm"),
        ThinkingDelta("m."),
        ThinkingBlock("Hmm.", provider="gemini"),
        TextDelta("So."),
        TextBlock("So."),
        ThinkingDelta("Signed."),
        ThinkingBlock("Signed.", "c2ln", "gemini"),
        Finished("end_turn"),
    ]


def test_a_signature_stays_with_its_part_and_merges_with_no_other():
    parts = parts_of(
        gemini_chunk({"text": "It "}),
        gemini_chunk({"text": "rains."}),
        gemini_chunk({"text": "", "thoughtSignature": "c2ln"}, reason="STOP"),
    )
    assert without_usage(parts) == [
        TextDelta("It "),
        TextDelta("rains."),
        TextBlock("It rains."),
        TextBlock("", "c2ln", "gemini"),
        Finished("end_turn"),
    ]


def test_parallel_calls_come_whole_and_the_first_has_the_signature():
    parts = parts_of(
        gemini_chunk({"text": "Let me see."}),
        gemini_chunk(
            gemini_call("forecast", {"city": "Bern"}, thoughtSignature="c2ln"),
            {"functionCall": {"name": "forecast", "id": "f2"}},
            reason="STOP",
        ),
    )
    text, closed, first, second, finished = without_usage(parts)
    assert (text, closed) == (TextDelta("Let me see."), TextBlock("Let me see."))
    assert first == ToolUseBlock(
        first.id, "forecast", {"city": "Bern"}, signature="c2ln", provider="gemini"
    )
    assert second == ToolUseBlock("f2", "forecast", {})
    assert first.id
    assert finished == Finished("tool_use")


@pytest.mark.parametrize("args", ["text", [1], 3])
def test_arguments_that_are_no_object_are_malformed(args):
    call = without_usage(parts_of(gemini_chunk(gemini_call("x", args), reason="STOP")))[0]
    assert call.input == {}
    assert call.malformed is not None


@pytest.mark.parametrize(
    ("reason", "finished"),
    [
        ("STOP", "end_turn"),
        ("MAX_TOKENS", "max_tokens"),
        ("SAFETY", "refusal"),
        ("RECITATION", "refusal"),
        ("PROHIBITED_CONTENT", "refusal"),
        ("BLOCKLIST", "refusal"),
        ("SPII", "refusal"),
    ],
)
def test_why_it_ended(reason, finished):
    assert parts_of(gemini_chunk({"text": "a"}, reason=reason))[-1] == Finished(finished)


def test_a_prompt_that_is_blocked_is_a_refusal():
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "safetyRatings": []}}
    assert parts_of(blocked) == [Finished("refusal")]
    assert parts_of(blocked, gemini_chunk(reason="STOP"))[-1] == Finished("refusal")


def test_an_empty_response_is_one():
    chunk = {"candidates": [{"finishReason": "STOP", "content": {"role": "model"}}]}
    assert parts_of(chunk) == [Finished("end_turn")]


def test_a_call_that_the_api_could_not_parse_is_malformed_so_that_the_model_is_told():
    said = "Malformed function call: print(default_api.forecast(city=Bern"
    chunk = gemini_chunk(reason="MALFORMED_FUNCTION_CALL", finishMessage=said)
    call, finished = without_usage(parts_of(chunk, tools=("city", "forecast")))
    assert (call.name, call.input, call.malformed) == ("forecast", {}, said)
    assert finished == Finished("tool_use")


@pytest.mark.parametrize(
    "candidate",
    [
        {"finishReason": "MALFORMED_FUNCTION_CALL"},
        {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "call:nonesuch"},
        {"finishReason": "OTHER"},
        {"finishReason": "UNEXPECTED_TOOL_CALL"},
        {"finishReason": "MISSING_THOUGHT_SIGNATURE", "finishMessage": "Where is it?"},
    ],
)
def test_reasons_that_are_failures_are_errors(candidate):
    with pytest.raises(Fault, match=candidate.get("finishMessage", "ended in")) as caught:
        parts_of({"candidates": [candidate]})
    assert caught.value.error_type == candidate["finishReason"]


@pytest.mark.parametrize(
    ("error", "message", "error_type"),
    [
        ({"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}, "Over", "UNAVAILABLE"),
        ({"code": 500, "message": "Oops"}, "Oops", "500"),
        ({}, "reports an error", None),
    ],
)
def test_an_error_in_the_stream_is_one(error, message, error_type):
    with pytest.raises(Fault, match=message) as caught:
        parts_of(gemini_chunk({"text": "a"}), {"error": error})
    assert caught.value.error_type == error_type


@pytest.mark.parametrize("events", [[], [gemini_chunk({"text": "a"})], [{"candidates": "x"}]])
def test_a_stream_that_is_not_whole_is_broken(events):
    with pytest.raises(Fault):
        parts_of(*events)


def test_what_is_unknown_is_passed_over():
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}
    parts = parts_of(
        {"candidates": None, "new": 1},
        gemini_chunk(code, picture, {"text": "a", "new": 1}, groundingMetadata={"x": 1}),
        gemini_chunk(reason="STOP"),
    )
    assert without_usage(parts) == [TextDelta("a"), Finished("end_turn")]


# --- request → JSON -------------------------------------------------------------------------------


def test_the_body_sends_each_signature_back_in_its_own_part(ask):
    messages = [
        Message.user("a"),
        Message(
            "assistant",
            (
                ThinkingBlock("unsigned", None, "gemini"),
                ThinkingBlock("signed", "s1", "gemini"),
                ThinkingBlock("theirs", "s", "anthropic"),
                RedactedThinkingBlock("theirs", "openai"),
                TextBlock("b"),
                TextBlock("", "s2", "gemini"),
                ToolUseBlock("c1", "x", {"n": 1}, signature="s3", provider="gemini"),
                ToolUseBlock("c2", "y", {}, malformed="{"),
            ),
        ),
        Message(
            "user",
            (ToolResultBlock("c1", "ok", False), ToolResultBlock("c2", "no", True), TextBlock("d")),
        ),
    ]
    body = gemini_body(ask(messages, system="Be brief."), "gemini-3-pro-preview")
    user, model, results = body["contents"]
    assert user == {"role": "user", "parts": [{"text": "a"}]}
    assert model["role"] == "model"
    assert model["parts"] == [
        {"text": "signed", "thought": True, "thoughtSignature": "s1"},
        {"text": "b"},
        {"text": "", "thoughtSignature": "s2"},
        {"functionCall": {"id": "c1", "name": "x", "args": {"n": 1}}, "thoughtSignature": "s3"},
        {"functionCall": {"id": "c2", "name": "y", "args": {}}},
    ]
    assert results["parts"] == [
        {"functionResponse": {"id": "c1", "name": "x", "response": {"output": "ok"}}},
        {"functionResponse": {"id": "c2", "name": "y", "response": {"error": "no"}}},
        {"text": "d"},
    ]
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    declared = body["tools"][0]["functionDeclarations"][0]
    assert set(declared) == {"name", "description", "parametersJsonSchema"}
    assert "generationConfig" not in body


@pytest.mark.parametrize(
    ("model", "signature"),
    [
        ("gemini-3-pro-preview", NO_SIGNATURE),
        ("models/gemini-3-flash-preview", NO_SIGNATURE),
        ("gemini-pro-latest", NO_SIGNATURE),
        ("gemini-2.5-flash", None),
        ("models/gemini-2.0-flash", None),
    ],
)
def test_the_first_call_of_another_model_says_that_it_has_no_signature(ask, model, signature):
    calls = (
        ToolUseBlock("c1", "x", {}, signature="theirs", provider="other"),
        ToolUseBlock("c2", "x", {}),
    )
    parts = gemini_body(ask([Message.user("a"), Message("assistant", calls)]), model)["contents"][1]
    assert [part.get("thoughtSignature") for part in parts["parts"]] == [signature, None]


def test_turns_without_content_are_left_out_and_their_neighbours_joined(ask):
    messages = [
        Message.user("a"),
        Message("assistant", (ThinkingBlock("cut"),), "cancelled"),
        Message.user(" "),
    ]
    contents = gemini_body(ask(messages), "gemini-2.5-pro")["contents"]
    assert contents == [{"role": "user", "parts": [{"text": "a"}, {"text": "(empty message)"}]}]


def test_images_are_inline_data_after_the_results_that_show_them(ask):
    image = ImageBlock("image/png", "iVBO")
    seen = {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}
    messages = [
        Message("user", (TextBlock("Look:"), image)),
        Message("assistant", (ToolUseBlock("c1", "x", {}), ToolUseBlock("c2", "x", {}))),
        Message(
            "user",
            (ToolResultBlock("c1", "", False, images=(image,)), ToolResultBlock("c2", "b", False)),
        ),
    ]
    user, _, results = gemini_body(ask(messages), "gemini-2.5-pro")["contents"]
    assert user["parts"] == [{"text": "Look:"}, seen]
    assert [next(iter(part)) for part in results["parts"]] == [
        "functionResponse",
        "functionResponse",
        "inlineData",
    ]


@pytest.mark.parametrize(
    ("model", "tools", "native"),
    [
        ("gemini-3-pro-preview", True, True),
        ("gemini-2.5-pro", False, True),
        ("gemini-2.5-pro", True, False),
    ],
)
def test_an_output_schema_is_native_or_in_words_where_tools_forbid_it(ask, model, tools, native):
    more = {} if tools else {"tools": ()}
    body = gemini_body(ask(output_schema={"type": "object"}, system="S", **more), model)
    said = body["systemInstruction"]["parts"][0]["text"]
    if native:
        assert body["generationConfig"] == {
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"},
        }
        assert said == "S"
    else:
        assert "generationConfig" not in body
        assert said.startswith("S\n\n")
        assert '{"type":"object"}' in said


# --- the wire -------------------------------------------------------------------------------------


def network(answer: httpx.Response, asked: list[httpx.Request]) -> Transport:
    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer

    return Transport(over=httpx.MockTransport(respond), retry=Retry(attempts=1))


@pytest.mark.parametrize("variable", ["GEMINI_API_KEY", "GOOGLE_API_KEY"])
async def test_the_key_goes_in_a_header_and_the_options_in_the_config(ask, monkeypatch, variable):
    monkeypatch.setenv(variable, "sk-secret")
    asked: list[httpx.Request] = []
    async with network(httpx.Response(200, content=gemini_text()), asked) as transport:
        provider = Gemini("models/a/b", max_tokens=9, temperature=0.5, show_thinking=True)
        parts = [part async for part in provider.stream(ask("Rain?"), transport)]
    assert parts[-1] == Finished("end_turn")
    url = "https://generativelanguage.googleapis.com/v1beta/models/a%2Fb:streamGenerateContent"
    assert str(asked[0].url) == f"{url}?alt=sse"
    assert asked[0].headers["x-goog-api-key"] == "sk-secret"
    assert b'"maxOutputTokens":9,"temperature":0.5' in asked[0].content
    assert b'"thinkingConfig":{"includeThoughts":true}' in asked[0].content


def test_without_a_key_the_error_says_how_to_give_one(ask):
    with pytest.raises(ProviderNotConfigured, match="GEMINI_API_KEY=…"):
        Gemini("m").stream(ask(), Transport())


async def test_a_key_that_is_refused_is_said_so_though_the_status_is_400(ask):
    body = {
        "error": {
            "code": 400,
            "message": "API key not valid.",
            "status": "INVALID_ARGUMENT",
            "details": [{"@type": "x.ErrorInfo", "reason": "API_KEY_INVALID"}],
        }
    }
    async with network(httpx.Response(400, json=body), []) as transport:
        with pytest.raises(ProviderAuthError, match="not valid"):
            await anext(Gemini("m", api_key="k").stream(ask("Rain?"), transport))


async def test_the_models_are_those_that_generate_content():
    page = {
        "models": [
            {
                "name": "models/gemini-2.5-pro",
                "displayName": "Gemini 2.5 Pro",
                "inputTokenLimit": 1048576,
                "outputTokenLimit": 65536,
                "supportedGenerationMethods": ["generateContent", "countTokens"],
            },
            {"name": "models/embedding", "supportedGenerationMethods": ["embedContent"]},
        ]
    }
    asked: list[httpx.Request] = []
    async with network(httpx.Response(200, json=page), asked) as transport:
        models = await ProviderRegistry().models("gemini", transport, api_key="k")
    assert models == [ModelInfo("gemini-2.5-pro", "Gemini 2.5 Pro", 1048576, 65536)]
    assert asked[0].url.path == "/v1beta/models"
