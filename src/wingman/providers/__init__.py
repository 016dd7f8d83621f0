"""Providers: a request in, a stream of parts out.

    base.py       the protocol: Request, the parts, Provider
    kept.py       what adapters keep of a conversation, and its bound
    calling.py    how a provider is called, which may be anyone's
    fallback.py   Fallback: the first of several providers that can answer
    registry.py   providers by name
    catalogue.py  models and their windows

    transport/    how an API is reached: calls, bytes, retries, failures, keys
    wire/         what all wire formats share: framing, tool calls, fitting, the exchange

    anthropic/    Anthropic's Messages API
    openai/       OpenAI's two APIs, and any server that speaks the older one
    gemini/       Google's Gemini API
    ollama/       Ollama's chat API
    local/        a GGUF file, run here
    scripted/     providers without a language model: for tests, and for a first look

Imports run one way: `base.py` knows `kept.py` and `transport/`, `wire/` knows these, the APIs know
`wire/`, the registry knows the APIs. What does I/O is `transport/`, `wire/exchange.py` and
`local/`; all else is values in, values out, but for the delays of the doubles.

The package knows the wire formats of models' APIs and how to reach them. It does not know of
sessions, runs, steps, actors or the store; it executes no tool and keeps no history.
"""

from wingman.api import ModelInfo
from wingman.providers.anthropic import Anthropic
from wingman.providers.base import (
    Answering,
    Finished,
    FinishReason,
    ListsModels,
    Part,
    Provider,
    Request,
    TellsWindow,
    TextDelta,
    ThinkingDelta,
    ToolSpec,
    UsageUpdate,
    WindowOf,
)
from wingman.providers.calling import close, context_window, require_provider
from wingman.providers.catalogue import catalogued_window, known_window
from wingman.providers.fallback import Fallback
from wingman.providers.gemini import Gemini
from wingman.providers.kept import Kept, Shelf
from wingman.providers.local import Local
from wingman.providers.ollama import Ollama
from wingman.providers.openai import OpenAI, OpenAICompatible
from wingman.providers.registry import ProviderEntry, ProviderFactory, ProviderRegistry
from wingman.providers.scripted import Delay, Fail, Keyless, Parts, Scripted, ToolCalls
from wingman.providers.transport import Retry, Transport

__all__ = [
    "Answering",
    "Anthropic",
    "Delay",
    "Fail",
    "Fallback",
    "FinishReason",
    "Finished",
    "Gemini",
    "Kept",
    "Keyless",
    "ListsModels",
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
    "Shelf",
    "TellsWindow",
    "TextDelta",
    "ThinkingDelta",
    "ToolCalls",
    "ToolSpec",
    "Transport",
    "UsageUpdate",
    "WindowOf",
    "catalogued_window",
    "close",
    "context_window",
    "known_window",
    "require_provider",
]
