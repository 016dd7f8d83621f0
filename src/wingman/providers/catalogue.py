"""Models with their windows, in tokens: for when a provider cannot be asked, or does not tell.

Facts from the providers' public documentation, as of 2026; a provider's own word goes before.
Ollama and compatible servers have none here: their models are those that the server has.
Sources: https://docs.anthropic.com/en/docs/about-claude/models,
https://platform.openai.com/docs/models, https://ai.google.dev/gemini-api/docs/models
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from wingman.api import ModelInfo

__all__ = ["CATALOGUE", "catalogued_window", "complete", "known_window"]

CATALOGUE: Final[Mapping[str, Sequence[ModelInfo]]] = {
    "anthropic": (
        ModelInfo("claude-opus-4-7", "Claude Opus 4.7", 1_000_000, 128_000),
        ModelInfo("claude-opus-4-6", "Claude Opus 4.6", 1_000_000, 128_000),
        ModelInfo("claude-sonnet-4-6", "Claude Sonnet 4.6", 1_000_000, 64_000),
        ModelInfo("claude-opus-4-5", "Claude Opus 4.5", 200_000, 64_000),
        ModelInfo("claude-sonnet-4-5", "Claude Sonnet 4.5", 200_000, 64_000),
        ModelInfo("claude-haiku-4-5", "Claude Haiku 4.5", 200_000, 64_000),
    ),
    "openai": (
        ModelInfo("gpt-5.2", "GPT-5.2", 400_000, 128_000),
        ModelInfo("gpt-5.1", "GPT-5.1", 400_000, 128_000),
        ModelInfo("gpt-5", "GPT-5", 400_000, 128_000),
        ModelInfo("gpt-5-mini", "GPT-5 mini", 400_000, 128_000),
        ModelInfo("gpt-5-nano", "GPT-5 nano", 400_000, 128_000),
        ModelInfo("gpt-4.1", "GPT-4.1", 1_047_576, 32_768),
        ModelInfo("gpt-4.1-mini", "GPT-4.1 mini", 1_047_576, 32_768),
        ModelInfo("gpt-4o", "GPT-4o", 128_000, 16_384),
        ModelInfo("gpt-4o-mini", "GPT-4o mini", 128_000, 16_384),
    ),
    "gemini": (
        ModelInfo("gemini-3-pro-preview", "Gemini 3 Pro Preview", 1_048_576, 65_536),
        ModelInfo("gemini-3-flash-preview", "Gemini 3 Flash Preview", 1_048_576, 65_536),
        ModelInfo("gemini-2.5-pro", "Gemini 2.5 Pro", 1_048_576, 65_536),
        ModelInfo("gemini-2.5-flash", "Gemini 2.5 Flash", 1_048_576, 65_536),
        ModelInfo("gemini-2.5-flash-lite", "Gemini 2.5 Flash-Lite", 1_048_576, 65_536),
    ),
    "scripted": (ModelInfo("keyless", "Keyless: no language model"),),
}


def complete(info: ModelInfo, known: Sequence[ModelInfo]) -> ModelInfo:
    """What the provider says of a model, with what it leaves out from the catalogue.

    A dated name (`claude-sonnet-4-5-20250929`) is its model's.
    """
    for model in known:
        if info.id == model.id or _dated(info.id, model.id):
            return msgspec.structs.replace(
                info,
                context_window=info.context_window or model.context_window,
                max_output_tokens=info.max_output_tokens or model.max_output_tokens,
            )
    return info


def known_window(model: str, known: Sequence[ModelInfo]) -> int | None:
    """The context window of a model in tokens, by the first of the `known` that it is; or None."""
    return complete(ModelInfo(model, model), known).context_window


def catalogued_window(provider: str, model: str) -> int | None:
    """The context window of a model in tokens, as the catalogue says; or None. A `WindowOf`."""
    return known_window(model, CATALOGUE.get(provider, ()))


def _dated(id: str, model: str) -> bool:
    date = id.removeprefix(f"{model}-")
    return date != id and date.replace("-", "").isdigit()
