"""The program that decodes an image, in a worker's process: foreign data may do anything to it.

`options`: `edge`, the most pixels of a side; `pixels`, the most that are decoded; `bytes`, the most
that may come out. The answer is a line of JSON (`media_type`, `same`, `note`), then the image's
bytes, unless it is the `same`.
"""

import json
import warnings
from io import BytesIO
from typing import Any, Final
from zlib import crc32

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from wingman.processes.working import Refused

# Those that are decoded; others (EPS, for one) would start programs, or are rare. Each is known to
# Pillow once its plugin is imported, AVIF only where Pillow was built with it.
_PLUGINS: Final = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
_FORMATS: Final = tuple(
    name for name in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF") if name in Image.OPEN
)
# Those that every API takes: https://docs.anthropic.com/en/docs/build-with-claude/vision
_SENT: Final = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with more pictures behind the first, as phones make them
    "GIF": "image/gif",
    "WEBP": "image/webp",
}
_PHOTOGRAPHS: Final = frozenset({"JPEG", "MPO", "WEBP", "AVIF"})
_EIGHT_BITS: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX"})
_ORIENTATION: Final = 0x0112
_QUALITIES: Final = (88, 75, 60, 45)
_SMALLER: Final = 0.7
_DAMAGED: Final = "it is damaged or cut off, so that it cannot be decoded"

_NO_PIXELS: Final = "; render it to PNG first"
_OTHERS: Final = (
    (0, b"%PDF", "a PDF" + _NO_PIXELS),
    (0, b"<svg", "an SVG, which has no pixels" + _NO_PIXELS),
    (0, b"<?xml", "XML, such as an SVG, which has no pixels" + _NO_PIXELS),
    (0, b"<", "a page or another text"),
    (4, b"ftyphe", "HEIC; convert it to JPEG or PNG first"),
    (4, b"ftypmif1", "HEIC; convert it to JPEG or PNG first"),
    (4, b"ftypmsf1", "HEIC; convert it to JPEG or PNG first"),
    (4, b"ftypavi", "AVIF, which cannot be decoded here; convert it to PNG first"),
    (4, b"jP  ", "JPEG 2000; convert it to JPEG or PNG first"),
    (4, b"JXL ", "JPEG XL; convert it to JPEG or PNG first"),
    (0, b"\xff\x0a", "JPEG XL; convert it to JPEG or PNG first"),
    (0, b"8BPS", "a Photoshop file; convert it to PNG first"),
    (0, b"\0\0\1\0", "an icon; convert it to PNG first"),
)


def work(options: dict[str, Any], data: bytes) -> bytes:
    """The image as it can be sent; raises `Refused` for what is none."""
    most_edge, most_pixels, most_bytes = options["edge"], options["pixels"], options["bytes"]
    Image.MAX_IMAGE_PIXELS = most_pixels
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    image = _opened(data, most_pixels)
    kind, size = image.format or "", image.size
    animated = kind != "MPO" and bool(_careful(lambda: getattr(image, "is_animated", False)))
    turned = _careful(lambda: image.getexif().get(_ORIENTATION, 1)) not in (0, 1)
    too_wide = max(size) > most_edge
    if too_wide and kind in ("JPEG", "MPO"):
        image.draft(None, (2 * most_edge, 2 * most_edge))  # decoded smaller at once: a tenth of it
    _careful(image.load)
    fits = (
        kind in _SENT
        and not (animated or turned or too_wide)
        and image.mode in _EIGHT_BITS
        and len(data) <= most_bytes
        and _is_whole(kind, data)
    )
    if fits and not (kind == "PNG" and data[24] > 8):
        return _answer(_SENT[kind], None, None)
    changed = _eight_bits(_careful(lambda: ImageOps.exif_transpose(image)) if turned else image)
    media_type, out, shown = _encoded(changed, kind in _PHOTOGRAPHS, most_edge, most_bytes)
    notes = []
    was = size[::-1] if turned and (size[0] > size[1]) != (shown[0] > shown[1]) else size
    if shown != was:
        notes.append(
            f"scaled down from {was[0]:,} × {was[1]:,} to {shown[0]:,} × {shown[1]:,} pixels"
        )
    if animated:
        notes.append("the first frame of an animation")
    if kind not in _SENT:
        notes.append(f"converted from {kind}")
    return _answer(media_type, out, "; ".join(notes) or None)


def _opened(data: bytes, most_pixels: int) -> Image.Image:
    try:
        image = Image.open(BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError:
        raise Refused(_what_else(data)) from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Refused(_too_many(most_pixels)) from None
    except MemoryError:
        raise
    except Exception:  # whatever a decoder makes of nonsense: it is about the data
        raise Refused(_DAMAGED) from None
    width, height = image.size
    if width < 1 or height < 1:
        raise Refused("it has no pixels")
    if width * height > most_pixels:
        raise Refused(f"it has {width:,} × {height:,} pixels: {_too_many(most_pixels)}")
    return image


def _careful(step: Any) -> Any:
    """What a step of decoding gives; what it raises is about the data."""
    try:
        return step()
    except MemoryError:
        raise
    except Exception:
        raise Refused(_DAMAGED) from None


def _too_many(most_pixels: int) -> str:
    return f"{most_pixels / 1e6:g} million pixels are the most that is decoded; make it smaller"


def _what_else(data: bytes) -> str:
    start = data[:64].lstrip()
    for offset, magic, name in _OTHERS:
        if start[offset:].startswith(magic):
            return f"it is {name}"
    known = any(start.startswith(m) for m in (b"\x89PNG", b"\xff\xd8", b"GIF8", b"RIFF", b"BM"))
    if known:
        return _DAMAGED
    return "it is no image that can be decoded: PNG, JPEG, GIF, WebP, BMP, TIFF and AVIF can"


def _is_whole(kind: str, data: bytes) -> bool:
    """Whether the end is there: Pillow makes do without, others do not."""
    match kind:
        case "PNG":
            return _png_is_whole(data)
        case "GIF":
            return data.rstrip(b"\0").endswith(b";")
        case "WEBP":
            return len(data) >= int.from_bytes(data[4:8], "little") + 8
        case _:
            return b"\xff\xd9" in data[-4096:] or kind == "MPO"


def _png_is_whole(data: bytes) -> bool:
    """Whether each part of a PNG has its checksum, up to the last (https://www.w3.org/TR/png-3/)."""
    position = 8
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        if crc32(data[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return False
        if data[position + 4 : position + 8] == b"IEND":
            return True
        position = end + 4
    return False


def _eight_bits(image: Image.Image) -> Image.Image:
    """The image in grey, RGB or RGBA of eight bits."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _stretched(image)
    if image.mode in ("L", "RGB", "RGBA"):
        return image
    transparent = image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if transparent else "L" if image.mode == "1" else "RGB")


def _stretched(image: Image.Image) -> Image.Image:
    """Grey of more bits: sixteen become eight; what has no fixed range shows the range it has."""
    low, high = 0.0, 65535.0
    if not image.mode.startswith("I;"):
        extrema: Any = image.getextrema()
        low, high = min(float(extrema[0]), 0.0), float(extrema[1])
        if image.mode == "I" and high <= 65535:
            high = 65535.0
    wide = image.convert("F")
    factor = 255 / ((high - low) or 1.0)
    return wide.point(lambda value: value * factor - low * factor).convert("L")


def _encoded(
    image: Image.Image, photograph: bool, most_edge: int, most_bytes: int
) -> tuple[str, bytes, tuple[int, int]]:
    """A media type, the bytes and the size, which is made smaller until they are few enough."""
    image.thumbnail((most_edge, most_edge), Image.Resampling.LANCZOS, reducing_gap=2.0)
    if image.mode == "RGBA" or not photograph:
        out = _saved(image, "PNG")
        if len(out) <= most_bytes:
            return "image/png", out, image.size
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    while min(image.size) >= 1 and max(image.size) > 16:
        for quality in _QUALITIES:
            out = _saved(image, "JPEG", quality=quality)
            if len(out) <= most_bytes:
                return "image/jpeg", out, image.size
        image.thumbnail((int(image.width * _SMALLER) or 1, int(image.height * _SMALLER) or 1))
    raise Refused(f"it cannot be made such that it has {most_bytes:,} bytes or fewer")


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = BytesIO()
    plain = image.copy()
    plain.info = {}  # what describes the image as it was: EXIF data, a colour profile
    plain.save(out, kind, **options)
    return out.getvalue()


def _answer(media_type: str, out: bytes | None, note: str | None) -> bytes:
    head = {"media_type": media_type, "same": out is None, "note": note}
    return json.dumps(head).encode() + b"\n" + (out or b"")
