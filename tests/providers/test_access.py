"""Where a provider lives, and which key goes there."""

import pytest

from wingman.errors import ProviderNotConfigured
from wingman.providers import Anthropic, Ollama, OpenAI, Scripted, Transport
from wingman.providers.anthropic import ACCESS as ANTHROPIC
from wingman.providers.ollama import ACCESS as OLLAMA
from wingman.providers.openai import ACCESS as OPENAI
from wingman.providers.transport import Endpoint
from wingman.providers.wire import bearer_call

HOME = "https://api.anthropic.com"


def test_without_anything_the_error_says_how_to_give_a_key(ask):
    for provider in (Anthropic("m"), OpenAI("m")):
        with pytest.raises(ProviderNotConfigured, match=r"_API_KEY=….*PUT /provider/auth"):
            provider.stream(ask(), Transport())


def test_key_and_place_come_from_the_environment():
    environment = {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "http://proxy/"}
    assert ANTHROPIC.endpoint(environment=environment) == Endpoint("http://proxy", "k")
    assert ANTHROPIC.endpoint(environment={"ANTHROPIC_API_KEY": "k"}) == Endpoint(HOME, "k")


def test_a_key_that_is_given_goes_before_the_environment():
    assert ANTHROPIC.endpoint("mine", environment={"ANTHROPIC_API_KEY": "k"}).key == "mine"


def test_a_key_of_the_environment_goes_only_where_the_environment_says():
    environment = {"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}
    with pytest.raises(ProviderNotConfigured, match=f"only ever sent to {HOME}"):
        ANTHROPIC.endpoint(base_url="http://elsewhere", environment=environment)
    assert OPENAI.endpoint(base_url="http://elsewhere/v1", environment=environment).key is None
    assert ANTHROPIC.endpoint(base_url=HOME + "/", environment=environment).key == "k"


def test_elsewhere_than_at_openai_a_key_is_optional():
    assert OPENAI.endpoint(base_url="http://127.0.0.1:8000/v1", environment={}).key is None
    for place in ("https://api.openai.com/v1", "https://API.openai.com:443/v1/"):
        with pytest.raises(ProviderNotConfigured):
            OPENAI.endpoint(base_url=place, environment={})


@pytest.mark.parametrize("key", ["a b", "a\nb", "ключ", "a\x00"])
def test_a_key_with_characters_no_key_has_is_refused_and_not_shown(key):
    with pytest.raises(ProviderNotConfigured) as caught:
        ANTHROPIC.endpoint(key, environment={})
    assert key not in str(caught.value)


def test_blanks_around_a_key_are_taken_off():
    assert ANTHROPIC.endpoint(" k\n", environment={}).key == "k"


def test_a_key_of_blanks_is_none():
    for key, environment in ((" ", {}), (None, {"ANTHROPIC_API_KEY": "\n"})):
        with pytest.raises(ProviderNotConfigured, match="has no key"):
            ANTHROPIC.endpoint(key, environment=environment)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("gpu", "http://gpu:11434"),
        ("gpu:80", "http://gpu:80"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("https://ollama.test", "https://ollama.test:443"),
        ("http://ollama.test/sub/", "http://ollama.test:80/sub"),
    ],
)
def test_ollama_host_is_written_as_ollama_writes_it(host, url):
    assert OLLAMA.endpoint(environment={"OLLAMA_HOST": host}) == Endpoint(url)


def test_a_place_that_is_no_url_is_a_configuration_error():
    with pytest.raises(ProviderNotConfigured, match="no URL"):
        OLLAMA.endpoint(environment={"OLLAMA_HOST": "gpu:port"})
    with pytest.raises(ProviderNotConfigured, match="begins with http"):
        ANTHROPIC.endpoint("k", "proxy:8080", environment={})


@pytest.mark.parametrize("make", [Anthropic, OpenAI, Ollama])
def test_no_repr_shows_a_key(make):
    assert "sk-secret" not in repr(make("m", api_key="sk-secret"))
    assert "sk-secret" not in repr(bearer_call("x", Endpoint("http://x", "sk-secret"), "/x"))
    assert "sk-secret" not in repr(Endpoint("http://x", "sk-secret"))


def test_a_double_needs_nothing(ask):
    Scripted(["x"]).stream(ask(), Transport())
