"""What all wire formats share: where events end, how tool calls and histories are made to fit.

    exchange.py   one inference: call → bytes → events → parts, the loop that joins the rest
    history.py    a history as JSON, written once
    decoding.py   an event's JSON into a value
    reading.py    the JSON of events, read as leniently as it may be
    characters.py characters that come in halves, made whole
    reasons.py    why an answer ended, by the word that a server gives
    toolcalls.py  tools as models are told of them, and their calls made into blocks
    naming.py     names and ids of tool calls, as APIs accept them
    fitting.py    a history made to fit: images and turns that an API would refuse
    schemas.py    JSON Schemas of structured output

All but `exchange.py` is without I/O: values in, values out. The package knows no provider and no
API by name, and does not know how bytes come and go: that is `transport/`.
"""

from wingman.providers.wire.characters import Characters, whole
from wingman.providers.wire.decoding import Usual, decode
from wingman.providers.wire.exchange import (
    Decoder,
    Translator,
    ask_for_models,
    bearer_call,
    converse,
)
from wingman.providers.wire.fitting import (
    COMMON_IMAGES,
    EMPTY_MESSAGE,
    NOT_ANSWERED,
    data_url,
    in_one,
    with_images,
)
from wingman.providers.wire.history import Outline, SameRole, Turn, Writer, body_of
from wingman.providers.wire.naming import (
    CallNumbers,
    ToolNames,
    is_mistral,
    nine_letters,
    plain_id,
    safe_name,
    short_id,
)
from wingman.providers.wire.reading import (
    Json,
    count,
    fields,
    index,
    is_done,
    items,
    named_error,
    object_in,
    reported,
    text,
    word,
)
from wingman.providers.wire.reasons import finish_reason, reason_word
from wingman.providers.wire.schemas import closed, is_strict
from wingman.providers.wire.toolcalls import (
    CallIds,
    HeldCalls,
    arguments_text,
    function_spec,
    tool_use,
)

__all__ = [
    "COMMON_IMAGES",
    "EMPTY_MESSAGE",
    "NOT_ANSWERED",
    "CallIds",
    "CallNumbers",
    "Characters",
    "Decoder",
    "HeldCalls",
    "Json",
    "Outline",
    "SameRole",
    "ToolNames",
    "Translator",
    "Turn",
    "Usual",
    "Writer",
    "arguments_text",
    "ask_for_models",
    "bearer_call",
    "body_of",
    "closed",
    "converse",
    "count",
    "data_url",
    "decode",
    "fields",
    "finish_reason",
    "function_spec",
    "in_one",
    "index",
    "is_done",
    "is_mistral",
    "is_strict",
    "items",
    "named_error",
    "nine_letters",
    "object_in",
    "plain_id",
    "reason_word",
    "reported",
    "safe_name",
    "short_id",
    "text",
    "tool_use",
    "whole",
    "with_images",
    "word",
]
