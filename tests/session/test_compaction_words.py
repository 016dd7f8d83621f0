"""What each provider says of a request that is too long is understood, and nothing else is."""

import pytest

from wingman.errors import ProviderError, ProviderRateLimited, ProviderRejected
from wingman.run.refusals import is_too_long, sizes_in

TOO_LONG = [
    ("prompt is too long: 215000 tokens > 200000 maximum", (215_000, 200_000)),
    (
        "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000, decrease "
        "input length or `max_tokens` and try again",
        (200_000, 199_000),
    ),
    (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in "
        "10021 tokens. Please reduce the length of the messages.",
        (10_021, 8_192),
    ),
    (
        "Your input exceeds the context window of this model. Please adjust your input and try "
        "again.",
        (None, None),
    ),
    (
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        (1_200_000, 1_048_576),
    ),
    (
        "the request exceeds the available context size (4096 tokens), try increasing it",
        (None, 4_096),
    ),
    ("prompt too long; exceeded max context length by 1200 tokens", (None, 1_200)),
    (
        "This model's maximum context length is 4096 tokens. However, you requested 5120 tokens "
        "(4608 in the messages, 512 in the completion).",
        (5_120, 4_608),
    ),
    (
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum "
        "context length",
        (40_000, 32_768),
    ),
    ("Please reduce the length of the messages or completion.", (None, None)),
    (
        "This endpoint's maximum context length is 131072 tokens. However, you requested about "
        "150,000 tokens.",
        (150_000, 131_072),
    ),
    ("Input is too long for requested model.", (None, None)),
]
OTHER = [
    "max_tokens: 64000 > 8192, which is the maximum allowed number of output tokens",
    "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.",
    "Your credit balance is too low to access the API.",
    "messages.0.content.0.image: image exceeds 5 MB maximum: 6000000 bytes > 5242880 bytes",
    "tools.0.name: String should have at most 64 characters",
    "Unknown model: gpt-9",
]


@pytest.mark.parametrize(("said", "sizes"), TOO_LONG)
def test_a_request_that_is_too_long_is_known_by_each_providers_words(
    said: str, sizes: tuple[int | None, int | None]
) -> None:
    assert is_too_long(ProviderRejected(said, provider="x", status=400))
    assert sizes_in(said) == sizes


@pytest.mark.parametrize("said", OTHER)
def test_what_is_refused_for_another_reason_is_not_too_long(said: str) -> None:
    assert not is_too_long(ProviderRejected(said, provider="x", status=400))


def test_it_may_be_said_by_a_code_alone_or_in_the_stream() -> None:
    assert is_too_long(ProviderError("No.", provider="x", error_type="context_length_exceeded"))
    assert is_too_long(ProviderRejected("Too large.", provider="x", status=413))


def test_a_limit_of_tokens_a_minute_is_no_window() -> None:
    said = "Request too large: the limit of input tokens per minute is 30000, requested 45000."
    assert not is_too_long(ProviderRateLimited(said, provider="x", status=429))
