"""Providers: a request in, a stream of parts out.

The package knows the wire formats of models' APIs and how to reach them. It does not know of
sessions, runs, steps, actors or the store; it executes no tool and keeps no history.

    base.py             the protocol: Request, the parts, Provider
    exchange.py         one inference: call → bytes → events → parts, the loop that joins the rest

    http.py             Transport, the one door to the network; retries
    bytestream.py       a call, and its response's body as a stream
    retry.py            whether to ask again, and when
    failures.py         what can go wrong, as Wingman's errors
    access.py           where a provider lives, and the key that may be sent there

    framing.py          Server-Sent Events and lines out of bytes
    toolcalls.py        tool calls as models send them, made into blocks
    fitting.py          a history made to fit: images, names and ids that an API would refuse
    schemas.py          JSON Schemas of structured output
    anthropic.py        Anthropic's Messages API; anthropic_stream.py: what it streams
    responses.py        OpenAI's Responses API; responses_stream.py: what it streams
    chat.py             chat completions, of anyone; chat_stream.py: what they stream
    openai.py           OpenAI: the one API or the other, by where it is
    openai_compatible.py  any server that speaks chat completions
    gemini.py           Google's Gemini API; gemini_stream.py: what it streams
    ollama.py           Ollama's chat API
    local.py            a GGUF file, run here: local_servers.py, its processes; llama_program.py,
                        what runs in them

    scripted.py         a provider that says what it is told to, for tests
    keyless.py          the model that needs no key and is no language model

    fallback.py         the first of several providers that can answer

    registry.py         providers by name
    catalogue.py        models and their windows

All but `http.py`, `exchange.py`, `local*.py` and the doubles' delays is without I/O: values in,
values out.
"""

from wingman.providers.anthropic import Anthropic
from wingman.providers.base import (
    Finished,
    FinishReason,
    ModelInfo,
    Part,
    Provider,
    Request,
    TextDelta,
    ThinkingDelta,
    ToolSpec,
    UsageUpdate,
)
from wingman.providers.fallback import Fallback
from wingman.providers.gemini import Gemini
from wingman.providers.http import Transport
from wingman.providers.keyless import Keyless
from wingman.providers.local import Local
from wingman.providers.ollama import Ollama
from wingman.providers.openai import OpenAI
from wingman.providers.openai_compatible import OpenAICompatible
from wingman.providers.registry import ProviderEntry, ProviderFactory, ProviderRegistry
from wingman.providers.retry import Retry
from wingman.providers.scripted import Delay, Fail, Parts, Scripted, ToolCalls

__all__ = [
    "Anthropic",
    "Delay",
    "Fail",
    "Fallback",
    "FinishReason",
    "Finished",
    "Gemini",
    "Keyless",
    "Local",
    "ModelInfo",
    "Ollama",
    "OpenAI",
    "OpenAICompatible",
    "Part",
    "Parts",
    "Provider",
    "ProviderEntry",
    "ProviderFactory",
    "ProviderRegistry",
    "Request",
    "Retry",
    "Scripted",
    "TextDelta",
    "ThinkingDelta",
    "ToolCalls",
    "ToolSpec",
    "Transport",
    "UsageUpdate",
]
