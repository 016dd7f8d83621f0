"""Anthropic's Messages API: Claude.

    provider.py  Anthropic: its options, where it lives, its models
    request.py   a request as JSON
    stream.py    what the API streams, as parts

The package does not know how bytes come and go (`transport/`), nor where events end (`wire/`).
"""

from wingman.providers.anthropic.provider import ACCESS, Anthropic
from wingman.providers.anthropic.request import anthropic_body
from wingman.providers.anthropic.stream import AnthropicTranslator

__all__ = ["ACCESS", "Anthropic", "AnthropicTranslator", "anthropic_body"]
