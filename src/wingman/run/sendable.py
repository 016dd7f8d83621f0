"""Sendable: what of a history is sent, and what a note stands for; pure functions.

An API may refuse a request for something in its history. It would refuse the next one for the
same, and the session would be of no use any more. Then less is sent, in up to three attempts
(`lesser`), and the answer that comes of it has a mark (`Withheld`) of what was not sent before it.
Whoever sends that history to the same model again, also after a restart, leaves the same out.

Of images, only the last ones are sent: all APIs bound their number and their bytes in a request.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal

import msgspec

from wingman.conversation import (
    Block,
    ImageBlock,
    Message,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Withheld,
)

__all__ = ["image_sizes", "lesser", "marked", "sendable", "told", "too_old", "withholds"]

_REFUSED: Final = "(An image is left out here: the model's API refused it.)"
_OLD: Final = "(An image is left out here: only the last ones are shown.)"
_RESULT: Final = "(The result of this call is left out here: the model's API refused it.)"
_EARLIER: Final = "(The conversation before this is left out: the model's API refused it.)"

# Of the APIs, Anthropic takes the fewest images (100 a request), Gemini the fewest bytes (20 MB).
_MOST_IMAGES: Final = 90
_MOST_CHARACTERS: Final = 16_000_000
# Left out by so many at a time: what a provider has cached of the history stays good for a while.
_AT_A_TIME: Final = 10


def sendable(
    history: Sequence[Message], provider: str, model: str, also: Withheld | None = None
) -> Sequence[Message]:
    """The messages to send to this model. `also` says what to withhold of the whole history."""
    messages = marked(history, provider, model, also)
    left = too_old([size for message in messages for size in image_sizes(message)])
    sent = []
    for message in messages:
        sent.append(told(message, left))
        left -= len(image_sizes(message))
    return [message for message in sent if message.content]


def withholds(message: Message, provider: str, model: str) -> bool:
    """Whether an answer says that something before it is withheld from this model."""
    mark = message.withheld
    return mark is not None and (mark.provider, mark.model) == (provider, model)


def marked(
    history: Sequence[Message], provider: str, model: str, also: Withheld | None = None
) -> Sequence[Message]:
    """The history without what its answers say is withheld from this model, and without `also`."""
    marks = [
        (index, message.withheld)
        for index, message in enumerate(history)
        if message.withheld is not None and withholds(message, provider, model)
    ]
    if also is not None:
        marks.append((len(history), also))
    messages: Sequence[Message] = history
    for end, withheld in marks:
        messages = [*_without(messages[:end], withheld), *messages[end:]]
    first = next((end - w.kept for end, w in reversed(marks) if w.kept is not None), 0)
    if first > 0:
        messages = [_after(messages[first]), *messages[first + 1 :]]
    return messages


def lesser(history: Sequence[Message], provider: str, model: str, own: int) -> Iterator[Withheld]:
    """What to withhold of a history that was refused, each time more; none that changes nothing.

    First the images that are new since the last answer, or, where there are none, all. Then all
    images, the reasoning, and the new results. Then all but the last `own` messages, those of the
    run. What is new comes first, as the API has taken the rest before.
    """
    new = _after_last_answer(history)
    images: Literal["new", "all"] = "new" if any(map(image_sizes, history[new:])) else "all"
    before = sendable(history, provider, model)
    for withheld in (
        Withheld(provider, model, images=images),
        Withheld(provider, model, images="all", reasoning=True, results=True),
        Withheld(provider, model, images="all", reasoning=True, results=True, kept=own),
    ):
        after = sendable(history, provider, model, withheld)
        if after != before:
            yield withheld
            before = after


# --- what is withheld -----------------------------------------------------------------------------


def _without(messages: Sequence[Message], withheld: Withheld) -> Sequence[Message]:
    new = _after_last_answer(messages)
    start = {"new": new, "all": 0, None: len(messages)}[withheld.images]
    without: list[Message] = []
    for index, message in enumerate(messages):
        if index >= start:
            message = _changed(message, _without_images)
        if withheld.results and index >= new:
            message = _changed(message, _without_result)
        if withheld.reasoning and message.role == "assistant":
            message = _changed(message, _without_reasoning)
        without.append(message)
    return without


def _after_last_answer(messages: Sequence[Message]) -> int:
    """Where what the model has not answered yet begins."""
    for index in range(len(messages), 0, -1):
        if messages[index - 1].role == "assistant":
            return index
    return 0


def _after(message: Message) -> Message:
    content = (TextBlock(_EARLIER), *message.content)
    return msgspec.structs.replace(message, content=content)


def _changed(message: Message, change: Callable[[Block], Block | None]) -> Message:
    content = tuple(new for block in message.content if (new := change(block)) is not None)
    if content == message.content:
        return message
    return msgspec.structs.replace(message, content=content)


def _without_images(block: Block) -> Block:
    match block:
        case ImageBlock():
            return TextBlock(_REFUSED)
        case ToolResultBlock(images=images) if images:
            return _noted(block, (), [_REFUSED] * len(images))
        case _:
            return block


def _without_result(block: Block) -> Block:
    if isinstance(block, ToolResultBlock):
        return msgspec.structs.replace(block, content=_RESULT, images=(), structured=None)
    return block


def _without_reasoning(block: Block) -> Block | None:
    match block:
        case ThinkingBlock() | RedactedThinkingBlock():
            return None
        case TextBlock() | ToolUseBlock() if block.signature is not None:
            return msgspec.structs.replace(block, signature=None, provider=None)
        case _:
            return block


# --- images ---------------------------------------------------------------------------------------


def image_sizes(message: Message) -> Sequence[int]:
    """How many characters each image of a message has."""
    sizes: list[int] = []
    for block in message.content:
        if isinstance(block, ImageBlock):
            sizes.append(len(block.data))
        elif isinstance(block, ToolResultBlock) and block.images:
            sizes += [len(image.data) for image in block.images]
    return sizes


def told(message: Message, left: int) -> Message:
    """The message without its first `left` images, and with what was changed of them in words."""
    if not image_sizes(message):
        return message
    content: list[Block] = []
    for block in message.content:
        if isinstance(block, ImageBlock):
            content += (TextBlock(_OLD),) if left > 0 else _told(block)
            left -= 1
        elif isinstance(block, ToolResultBlock) and block.images:
            old = max(0, min(left, len(block.images)))
            left -= len(block.images)
            shown = block.images[old:]
            notes = [_OLD] * old + [f"({image.note})" for image in shown if image.note]
            content.append(_noted(block, shown, notes))
        else:
            content.append(block)
    return msgspec.structs.replace(message, content=tuple(content))


def too_old(sizes: Sequence[int]) -> int:
    """How many of the images, the oldest, are not sent, by their sizes."""
    kept = characters = 0
    for size in reversed(sizes[-_MOST_IMAGES:]):
        characters += size
        if characters > _MOST_CHARACTERS:
            break
        kept += 1
    left = len(sizes) - kept
    rounded = -(-left // _AT_A_TIME) * _AT_A_TIME
    return left if kept <= _AT_A_TIME else rounded


def _told(image: ImageBlock) -> tuple[Block, ...]:
    return (image,) if image.note is None else (image, TextBlock(f"({image.note})"))


def _noted(
    block: ToolResultBlock, images: tuple[ImageBlock, ...], notes: Sequence[str]
) -> ToolResultBlock:
    """The result with these images, and with the notes below its text."""
    content = "\n".join([block.content, *notes] if block.content else notes)
    return msgspec.structs.replace(block, content=content, images=images)
