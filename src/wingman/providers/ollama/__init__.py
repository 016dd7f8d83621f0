"""Ollama's chat API: local models, NDJSON, no key.

    provider.py  Ollama: its options, where it lives, its models
    request.py   a request as JSON
    stream.py    what the API streams, as parts

The package does not know how bytes come and go (`transport/`), nor where lines end (`wire/`).
"""

from wingman.providers.ollama.provider import ACCESS, Ollama
from wingman.providers.ollama.request import ollama_body
from wingman.providers.ollama.stream import OllamaTranslator

__all__ = ["ACCESS", "Ollama", "OllamaTranslator", "ollama_body"]
