"""OpenAI's two APIs, and the servers that are compatible with the older one.

    provider.py            OpenAI: the one API or the other, by where it is
    compatible.py          OpenAICompatible: any server that speaks chat completions

    chat_exchange.py       one inference by chat completions, and a server's models
    chat_request.py        a request as the JSON of chat completions
    chat_stream.py         what chat completions stream, as parts
    chat_calls.py          their tool calls, put together out of their pieces
    responses_request.py   a request as the JSON of the Responses API
    responses_stream.py    what the Responses API streams, as parts
    responses_items.py     its text said once, its calls, its end

The package does not know how bytes come and go (`transport/`), nor where events end (`wire/`).
"""

from wingman.providers.openai.chat_exchange import chat
from wingman.providers.openai.chat_request import chat_body
from wingman.providers.openai.chat_stream import ChatTranslator
from wingman.providers.openai.compatible import ACCESS as COMPATIBLE_ACCESS
from wingman.providers.openai.compatible import OpenAICompatible
from wingman.providers.openai.provider import ACCESS, OpenAI
from wingman.providers.openai.responses_request import responses_body
from wingman.providers.openai.responses_stream import ResponsesTranslator

__all__ = [
    "ACCESS",
    "COMPATIBLE_ACCESS",
    "ChatTranslator",
    "OpenAI",
    "OpenAICompatible",
    "ResponsesTranslator",
    "chat",
    "chat_body",
    "responses_body",
]
