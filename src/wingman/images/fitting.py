"""An image in, one that can be sent out; or a sentence that says why not."""

import base64
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
import trio

from wingman.conversation import ImageBlock
from wingman.errors import Overloaded
from wingman.processes import WorkerError, WorkerFailed, run_worker

__all__ = ["MOST_IMAGES", "ImageRefused", "fit_image", "fit_images"]

MOST_IMAGES: Final = 20
"""So many images a message, or a tool's result, may have. Where a request has more, Anthropic takes
none with a side of more than 2,000 pixels."""

_PROGRAM: Final = Path(__file__).with_name("decoding.py")

# Anthropic's limits are the smallest: 5 MB of base64 an image; 8,000 pixels a side, and 2,000 where
# a request has more than 20 images, which a history has sooner or later. It scales images down to
# less than that by itself, as OpenAI and Gemini do, so that nothing is lost to the models.
_EDGE: Final = 2_000
_SENT_BYTES: Final = 3_750_000
_DECODED_BYTES: Final = 20_000_000
_DECODED_PIXELS: Final = 50_000_000
_SECONDS: Final = 20.0
_MEMORY: Final = 700_000_000  # 50 million pixels of 4 bytes, twice, and Python
_LONGEST_HEAD: Final = 1_000

_REMEMBERED: Final = 1_024
_fitting: OrderedDict[bytes, str] = OrderedDict()
"""The digests of images that are known to fit, with their media types: a tool has looked, and then
the run looks; a screenshot comes again and again."""


class ImageRefused(Exception):
    """An image cannot be sent. The text is a sentence about it, such as "it is a PDF"."""


class _Head(msgspec.Struct, frozen=True):
    """What the worker says of an image."""

    media_type: str
    same: bool
    note: str | None


async def fit_image(image: ImageBlock) -> ImageBlock:
    """The image as it can be sent: the same, or another with a `note`.

    Raises `ImageRefused` for what is no image or cannot be made to fit, and `Overloaded` where no
    process can be had that looks.
    """
    data = _decoded(image)
    digest = sha256(data).digest()
    media_type = _fitting.get(digest)
    if media_type is not None:
        await trio.lowlevel.checkpoint()
        return _kept(image, media_type)
    head, out = await _looked_at(data)
    _remember(digest if head.same else sha256(out).digest(), head.media_type)
    if head.same:
        return _kept(image, head.media_type)
    return ImageBlock(head.media_type, base64.b64encode(out).decode(), head.note)


async def fit_images(images: Sequence[ImageBlock]) -> Sequence[ImageBlock | ImageRefused]:
    """Each image as it can be sent, or why it cannot be, in order. Raises `Overloaded`."""
    results: dict[int, ImageBlock | ImageRefused] = {}

    async def fit(index: int, image: ImageBlock) -> None:
        try:
            results[index] = await fit_image(image)
        except ImageRefused as refused:
            results[index] = refused
        except Overloaded as error:
            failures.append(error)
            nursery.cancel_scope.cancel()

    failures: list[Overloaded] = []
    async with trio.open_nursery() as nursery:
        for index, image in enumerate(images[:MOST_IMAGES]):
            nursery.start_soon(fit, index, image)
    if failures:
        raise failures[0]
    many = f"a message or a result may have {MOST_IMAGES} images, and it is one too many"
    return [results.get(index) or ImageRefused(many) for index in range(len(images))]


def _decoded(image: ImageBlock) -> bytes:
    text: object = image.data  # a program without a type checker gives anything
    if not isinstance(text, str):
        raise ImageRefused(f"its data is `{type(text).__name__}`, and not base64 in a `str`")
    if len(text) > _DECODED_BYTES * 4 // 3 + 4:
        size = len(text) * 3 // 4
        raise ImageRefused(
            f"it has {size:,} bytes, and {_DECODED_BYTES:,} are the most that is decoded; make it "
            "smaller"
        )
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        hint = "; leave out what a data URL has before the comma" if "data:" in text[:5] else ""
        raise ImageRefused(f"its data is not base64: {error}{hint}") from None
    if not data:
        raise ImageRefused("it is empty")
    return data


async def _looked_at(data: bytes) -> tuple[_Head, bytes]:
    options = {"edge": _EDGE, "pixels": _DECODED_PIXELS, "bytes": _SENT_BYTES}
    try:
        answer = await run_worker(
            _PROGRAM,
            options,
            data,
            seconds=_SECONDS,
            memory=_MEMORY,
            max_answer=_SENT_BYTES + _LONGEST_HEAD,
        )
    except WorkerFailed as error:
        if error.__cause__ is not None:  # it could not be started
            raise Overloaded(f"An image cannot be looked at now: {error}") from error
        said = str(error).rstrip(".")
        raise ImageRefused(f"it could not be decoded: {said[:1].lower()}{said[1:]}") from error
    except WorkerError as error:
        raise ImageRefused(str(error)) from error
    head, _, out = answer.partition(b"\n")
    return msgspec.json.decode(head, type=_Head), out


def _kept(image: ImageBlock, media_type: str) -> ImageBlock:
    """The image as it came, under the name that its bytes have."""
    if image.media_type == media_type:
        return image
    return msgspec.structs.replace(image, media_type=media_type)


def _remember(digest: bytes, media_type: str) -> None:
    _fitting[digest] = media_type
    if len(_fitting) > _REMEMBERED:
        _fitting.popitem(last=False)
