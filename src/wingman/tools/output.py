"""ToolOutput: what a tool gives that has more to show than text."""

from collections.abc import Iterable
from typing import Any, Final

import attrs
import msgspec

from wingman.conversation import ImageBlock
from wingman.given import listed, of_kind
from wingman.schemas import json_text

__all__ = ["ToolOutput"]

_DEEPEST: Final = 100  # what is nested more deeply could not be read wherever it goes


def _images(given: Iterable[ImageBlock]) -> tuple[ImageBlock, ...]:
    return listed("images", given, ImageBlock)


def _json(given: Any) -> Any:
    """The value as JSON has it. Raises `TypeError` for what is none, `ValueError` for depth."""
    if given is None:
        return None
    try:
        value = msgspec.json.decode(json_text(given).encode(errors="replace"))
        if not _is_deep(value):
            return value
    except RecursionError:
        pass
    raise ValueError(f"structured is nested too deeply: {_DEEPEST} levels are the most")


def _is_deep(value: Any) -> bool:
    level = _containers([value])
    for _ in range(_DEEPEST):
        level = [
            inner
            for each in level
            for inner in _containers(each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def _containers(values: Iterable[Any]) -> list[dict[str, Any] | list[Any]]:
    return [value for value in values if isinstance(value, dict | list)]


@attrs.frozen
class ToolOutput:
    """What a tool gives that has more to show than text. Models that take no images read the text
    alone, with a note of what was left out.

    `is_error` says that the call has failed: a `ToolError` that shows images. `structured` is the
    result as a JSON value, for programs, beside the text, which is what models read; a class of
    fields becomes an object. One whose JSON is longer than a tool's output may be is left out, and
    the text says so.
    """

    text: str = attrs.field(validator=of_kind(str))
    images: tuple[ImageBlock, ...] = attrs.field(default=(), converter=_images)
    is_error: bool = attrs.field(default=False, kw_only=True, validator=of_kind(bool))
    structured: Any = attrs.field(default=None, kw_only=True, converter=_json)
