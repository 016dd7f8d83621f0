"""Google's Gemini API.

    provider.py  Gemini: its options, where it lives, its models
    request.py   a request as JSON
    stream.py    what the API streams, as parts

The package does not know how bytes come and go (`transport/`), nor where events end (`wire/`).
"""

from wingman.providers.gemini.provider import ACCESS, Gemini
from wingman.providers.gemini.request import NO_SIGNATURE, gemini_body
from wingman.providers.gemini.stream import GeminiTranslator

__all__ = ["ACCESS", "NO_SIGNATURE", "Gemini", "GeminiTranslator", "gemini_body"]
