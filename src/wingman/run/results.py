"""Results: what a tool's call gave, as the model is shown it.

Not too much of it, in valid Unicode, and with what the model has to know besides: which images it
cannot see, and what the tool notes of the call.
"""

import msgspec

from wingman.conversation import ToolResultBlock, ToolUseBlock
from wingman.given import one
from wingman.images import ImageRefused, fit_images
from wingman.tools import ToolOutput

__all__ = ["failure", "result_of", "shortened", "shortened_note"]


async def result_of(
    block: ToolUseBlock, output: object, limit: int, note: str = ""
) -> ToolResultBlock:
    """The result of a call whose tool gave this. `limit` is how many characters may be shown, with
    the `note` at their end.

    Raises `TypeError` where a tool gave what is none.
    """
    if not isinstance(output, ToolOutput):
        return _result(block, _text(output), limit, note)
    fitted = await fit_images(output.images)
    images = tuple(image for image in fitted if not isinstance(image, ImageRefused))
    notes = [
        f"[Image {number} of this result cannot be shown: {image}.]"
        for number, image in enumerate(fitted, start=1)
        if isinstance(image, ImageRefused)
    ]
    failed = output.is_error or (bool(notes) and not images)
    structured = output.structured
    if structured is not None and (length := len(msgspec.json.encode(structured))) > limit:
        structured = None
        notes.append(
            f"[The structured form of this result is left out: its JSON has {length:,} bytes, and "
            f"{limit:,} are the most.]"
        )
    given = _text(output.text)
    text = "\n".join([given, *notes] if given else notes)
    result = _result(block, text, limit, note, is_error=failed)
    return msgspec.structs.replace(result, images=images, structured=structured)


def failure(block: ToolUseBlock, reason: str, limit: int, note: str = "") -> ToolResultBlock:
    """The result of a call that failed, for this reason."""
    return _result(block, reason, limit, note, is_error=True)


def shortened(content: str, limit: int) -> str:
    """What the model is shown of a text: its beginning and its end, in valid Unicode."""
    if (missing := len(content) - limit) > 0:
        note = f"\n[… {missing:,} characters cut: the limit is {limit:,} …]\n"
        head = limit // 2
        content = content[:head] + note + content[len(content) - (limit - head) :]
    return content.encode(errors="replace").decode()  # once it is short: this holds the loop


def shortened_note(note: str, limit: int) -> str:
    """What the model is shown of a tool's note: at most half of what may be shown of a result."""
    longest = limit // 2
    note = str.__str__(one("note", note, str))
    note = note if len(note) <= longest else f"{note[: longest - 1]}…"
    return note.encode(errors="replace").decode()


def _result(
    block: ToolUseBlock, content: str, limit: int, note: str, *, is_error: bool = False
) -> ToolResultBlock:
    if note:
        content = shortened(content, limit - len(note) - 1)
        content += note if not content or content.endswith("\n") else f"\n{note}"
    else:
        content = shortened(content, limit)
    return ToolResultBlock(block.id, content, is_error=is_error)


def _text(output: object) -> str:
    """A tool's text as a plain `str`. Raises `TypeError` where a tool gave something else."""
    if not isinstance(output, str):
        raise TypeError(
            f"the tool gave a {type(output).__name__}: it has to give text, or a ToolOutput"
        )
    return str.__str__(output)
