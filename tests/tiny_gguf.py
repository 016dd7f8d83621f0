"""A language model that knows one sentence, as a GGUF file of less than a megabyte: for tests.

Each token is a direction of its own, the one layer adds nothing, and the output maps each token
to the one that follows it in the sentence, whatever is not in it to its beginning. So llama.cpp
loads and runs it as any other model, and what it answers is known.
"""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

SENTENCE: Final = ("It", "▁will", "▁rain", ".")

_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_TOKENS: Final = (
    ("<unk>", _UNKNOWN),
    ("<s>", _CONTROL),
    ("</s>", _CONTROL),
    *((f"<0x{byte:02X}>", _BYTE) for byte in range(256)),
    *((word, _NORMAL) for word in SENTENCE),
)
_END: Final = 2
_FIRST: Final = len(_TOKENS) - len(SENTENCE)
_WIDTH: Final = 288  # a multiple of 32, and no less than there are tokens
_HIDDEN: Final = 32
_ALIGNMENT: Final = 32
_CERTAINTY: Final = 10.0  # times the width's root: what the right token has above all others

_TEMPLATE: Final = "{% for message in messages %}{{ message.content }}\n{% endfor %}"

Rows = Sequence[Sequence[float]]


def write(path: Path, *, endless: bool = False) -> Path:
    """Write the model; an `endless` one says its sentence again and again."""
    tensors = _tensors(_FIRST if endless else _END)
    head = bytearray()
    metadata = _metadata()
    head += struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))
    for name, value in metadata.items():
        head += _text(name) + _typed(value)
    offset, body = 0, bytearray()
    for name, rows in tensors.items():
        shape = [len(rows[0]), len(rows)] if len(rows) > 1 else [len(rows[0])]
        head += _text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        head += struct.pack("<IQ", 0, offset)
        data = b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows)
        body += _padded(data)
        offset = len(body)
    path.write_bytes(_padded(bytes(head)) + body)
    return path


def _metadata() -> Mapping[str, Any]:
    tokens, types = zip(*_TOKENS, strict=True)
    return {
        "general.architecture": "llama",
        "general.name": "tiny",
        "llama.context_length": 4096,
        "llama.embedding_length": _WIDTH,
        "llama.block_count": 1,
        "llama.feed_forward_length": _HIDDEN,
        "llama.attention.head_count": 1,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.attention.key_length": _HIDDEN,
        "llama.attention.value_length": _HIDDEN,
        "llama.rope.dimension_count": _HIDDEN,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": list(tokens),
        "tokenizer.ggml.scores": [0.0] * len(tokens),
        "tokenizer.ggml.token_type": list(types),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": _END,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_space_prefix": False,
        "tokenizer.chat_template": _TEMPLATE,
    }


def _tensors(last: int) -> Mapping[str, Rows]:
    into, out_of = _zeros(_HIDDEN, _WIDTH), _zeros(_WIDTH, _HIDDEN)
    ones = [[1.0] * _WIDTH]
    output = _zeros(len(_TOKENS), _WIDTH)
    for token in range(len(_TOKENS)):
        output[_follower(token, last)][token] = _CERTAINTY
    embedding = [[float(column == row) for column in range(_WIDTH)] for row in range(len(_TOKENS))]
    layer = {
        "attn_norm": ones,
        "attn_q": into,
        "attn_k": into,
        "attn_v": into,
        "attn_output": out_of,
        "ffn_norm": ones,
        "ffn_gate": into,
        "ffn_up": into,
        "ffn_down": out_of,
    }
    return {
        "token_embd.weight": embedding,
        **{f"blk.0.{name}.weight": rows for name, rows in layer.items()},
        "output_norm.weight": ones,
        "output.weight": output,
    }


def _follower(token: int, last: int) -> int:
    if token < _FIRST:
        return _FIRST
    return token + 1 if token + 1 < len(_TOKENS) else last


def _zeros(rows: int, columns: int) -> list[list[float]]:
    return [[0.0] * columns for _ in range(rows)]


# --- the format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md ------------------------

_UNSIGNED, _INT, _FLOAT, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9


def _typed(value: Any) -> bytes:
    kind = _kind(value)
    return struct.pack("<I", kind) + _value(value, kind)


def _kind(value: Any) -> int:
    kinds = {bool: _BOOL, int: _UNSIGNED, float: _FLOAT, str: _STRING, list: _ARRAY}
    return kinds[type(value)]


def _value(value: Any, kind: int) -> bytes:
    if kind == _STRING:
        return _text(value)
    if kind == _ARRAY:
        inner = _INT if type(value[0]) is int else _kind(value[0])
        items = b"".join(_value(item, inner) for item in value)
        return struct.pack("<IQ", inner, len(value)) + items
    return struct.pack({_UNSIGNED: "<I", _INT: "<i", _FLOAT: "<f", _BOOL: "<?"}[kind], value)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % _ALIGNMENT)
