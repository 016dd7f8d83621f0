"""The tool `read`: a file's lines, numbered, however large the file is."""

import base64
import itertools
import os
import time
from collections.abc import Iterator
from typing import Annotated, BinaryIO

import msgspec
import trio

from wingman.conversation import ImageBlock
from wingman.errors import ToolError
from wingman.images import ImageRefused, fit_image
from wingman.tools.base import ToolContext
from wingman.tools.decorator import tool
from wingman.tools.output import ToolOutput
from wingman.tools.paths import existing_file, opened
from wingman.tools.threads import stop_if_cancelled

__all__ = ["read"]

_LINE_BYTES = 2_000  # of a longer line, only the beginning is shown
_SNIFFED_BYTES = 8_192
_TURN = 500  # lines, after which other threads have theirs
_NOTE_ROOM = 200  # characters for where to go on

_IMAGE_BYTES = 20_000_000  # of a larger one, nothing is read
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
}
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
}

FromOne = Annotated[int, msgspec.Meta(ge=1)]


@tool(resources=("path",), leave_out_unknown=True)
def read(
    path: str, context: ToolContext, offset: FromOne = 1, limit: FromOne = 2_000
) -> str | ToolOutput:
    """Read a text file of the working directory, with line numbers as `cat -n` shows them.

    An image (PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF) is shown as what it is, scaled down if it is
    large.

    Long lines are cut, and a long file is shown in parts: the end of the output says where to go
    on. The numbers and the tab after them are not part of the file.

    Args:
        path: The file, relative to the working directory or absolute.
        offset: The first line to show, counted from 1.
        limit: How many lines to show at most.
    """
    resolved = existing_file(context, path)
    try:
        with opened(resolved, path) as file:
            if media_type := _image_type(file):
                return _image(file, path, media_type)
            _refuse_binary(file, path)
            return _numbered(file, path, offset, limit, context.max_output - _NOTE_ROOM)
    except OSError as error:
        raise ToolError(f"{path} cannot be read: {error.strerror}.") from error


def _image_type(file: BinaryIO) -> str | None:
    """The media type of an image that models take, by its first bytes."""
    head = file.read(12)
    file.seek(0)
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return "image/webp"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "image/bmp"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:])
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def _image(file: BinaryIO, path: str, media_type: str) -> ToolOutput:
    size = os.fstat(file.fileno()).st_size
    if size > _IMAGE_BYTES:
        raise ToolError(
            f"{path} is an image of {size:,} bytes; {_IMAGE_BYTES:,} are the most that is read: "
            "make a smaller one in bash."
        )
    data = base64.b64encode(file.read(_IMAGE_BYTES)).decode()
    try:
        image = trio.from_thread.run(fit_image, ImageBlock(media_type, data))
    except ImageRefused as refused:
        raise ToolError(f"{path} cannot be shown: {refused}.") from refused
    return ToolOutput(f"[{path}: {media_type}, {size:,} bytes]", [image])


def _refuse_binary(file: BinaryIO, path: str) -> None:
    if b"\0" in file.read(_SNIFFED_BYTES):
        size = os.fstat(file.fileno()).st_size
        raise ToolError(
            f"{path} is a binary file of {size:,} bytes: look at it in bash, "
            "with `file` or `xxd | head`; convert text in another encoding with `iconv`."
        )
    file.seek(0)


def _numbered(file: BinaryIO, path: str, offset: int, limit: int, room: int) -> str:
    """The lines from `offset` on, `limit` of them or what fits in `room` characters."""
    shown: list[str] = []
    number = 0
    for number, line in enumerate(_lines(file), start=1):
        if number < offset:
            continue
        text = f"{number:6}\t{line}\n"
        room -= len(text)
        if len(shown) == limit or (room < 0 and shown):
            return "".join(shown) + f"[The file goes on: read it with offset={number}.]"
        shown.append(text)
    if shown:
        return "".join(shown)
    if number == 0:
        return "[The file is empty.]"
    raise ToolError(f"{path} has {number} lines, so none at offset {offset}.")


def _lines(file: BinaryIO) -> Iterator[str]:
    """The lines without their ends, in bounded memory."""
    for count in itertools.count():
        if count % _TURN == 0:
            time.sleep(0)  # without it, the loop's thread was seen to wait 0.1 s for its turn
        if not (piece := file.readline(_LINE_BYTES)):
            return
        missing, last = 0, piece
        while not last.endswith(b"\n") and (last := file.readline(_SNIFFED_BYTES)):
            missing += len(last.rstrip(b"\r\n"))
            stop_if_cancelled()
        stop_if_cancelled()
        text = piece.rstrip(b"\r\n").decode(errors="replace").replace("\0", "\ufffd")
        yield text + (f" [… {missing:,} bytes cut …]" if missing else "")
