"""What all wire formats share: where events end, how tool calls and histories are made to fit.

    exchange.py   one inference: call → bytes → events → parts, the loop that joins the rest
    decoding.py   an event's JSON into a value
    toolcalls.py  tools as models are told of them, and their calls made into blocks
    fitting.py    a history made to fit: images, names and ids that an API would refuse
    schemas.py    JSON Schemas of structured output

All but `exchange.py` is without I/O: values in, values out. The package knows no provider and no
API by name, and does not know how bytes come and go: that is `transport/`.
"""

from wingman.providers.wire.decoding import decode
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
    data_url,
    safe_name,
    short_id,
    with_images,
)
from wingman.providers.wire.schemas import closed, is_strict
from wingman.providers.wire.toolcalls import CallIds, function_spec, tool_use

__all__ = [
    "COMMON_IMAGES",
    "EMPTY_MESSAGE",
    "CallIds",
    "Decoder",
    "Translator",
    "ask_for_models",
    "bearer_call",
    "closed",
    "converse",
    "data_url",
    "decode",
    "function_spec",
    "is_strict",
    "safe_name",
    "short_id",
    "tool_use",
    "with_images",
]
