"""Pictures for tests, good and bad, made without a library where they are bad on purpose."""

import base64
import random
import struct
import zlib
from io import BytesIO
from typing import Any, Final

from PIL import Image

from wingman import ImageBlock

Size = tuple[int, int]


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of an image."""
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def plain(kind: str = "PNG", size: Size = (40, 30), mode: str = "RGB", **options: Any) -> bytes:
    """A picture of one colour."""
    return saved(Image.new(mode, size), kind, **options)


def noise(size: Size, kind: str = "PNG") -> bytes:
    """A picture that does not compress."""
    width, height = size
    data = random.Random(1).randbytes(3 * width * height)
    return saved(Image.frombytes("RGB", size, data), kind)


def animation(kind: str, frames: int = 3, size: Size = (20, 20)) -> bytes:
    """A picture that moves."""
    pictures = [Image.new("RGB", size, (10 * n, 100, 200)) for n in range(frames)]
    return saved(pictures[0], kind, save_all=True, append_images=pictures[1:])


def png(width: int, height: int, rows: bytes = b"", bits: int = 8, colour: int = 2) -> bytes:
    """A PNG that says what it is told to, whether or not that is true."""

    def chunk(tag: bytes, data: bytes) -> bytes:
        length, checksum = struct.pack(">I", len(data)), struct.pack(">I", zlib.crc32(tag + data))
        return length + tag + data + checksum

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def block(data: bytes, media_type: str = "image/png") -> ImageBlock:
    """What a message brings."""
    return ImageBlock(media_type, base64.b64encode(data).decode())


def bytes_of(image: ImageBlock) -> bytes:
    """The bytes of an image in a history."""
    return base64.b64decode(image.data)


def look(image: ImageBlock) -> Image.Image:
    """An image in a history, decoded as its media type says."""
    decoded = Image.open(BytesIO(bytes_of(image)))
    assert Image.MIME[decoded.format or ""] == image.media_type
    decoded.load()
    return decoded


PIXEL_BYTES: Final = plain(size=(1, 1))
PIXEL: Final = base64.b64encode(PIXEL_BYTES).decode()
"""The smallest picture there is, in base64."""
