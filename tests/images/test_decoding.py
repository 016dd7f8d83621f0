"""What becomes of an image: kept, converted, scaled down, or refused with a sentence."""

import contextlib
import json
import struct
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, features

from pictures import animation, noise, plain, png, saved
from wingman.images.decoding import work
from wingman.processes.working import Refused

OPTIONS = {"edge": 2_000, "pixels": 50_000_000, "bytes": 3_750_000}


def decoded(data: bytes, **options: int) -> tuple[dict[str, Any], bytes]:
    """What the worker says of these data, and the image that it makes of them."""
    head, _, out = work({**OPTIONS, **options}, data).partition(b"\n")
    said = json.loads(head)
    if said["same"]:
        assert out == b""
        return said, data
    image = Image.open(BytesIO(out))
    image.load()
    assert Image.MIME[image.format or ""] == said["media_type"]
    return said, out


def size_of(data: bytes) -> tuple[int, int]:
    return Image.open(BytesIO(data)).size


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return plain("JPEG", (40, 30), exif=exif)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (plain("PNG"), "image/png"),
        (plain("PNG", mode="RGBA"), "image/png"),
        (plain("PNG", mode="P"), "image/png"),
        (plain("PNG", mode="1"), "image/png"),
        (plain("PNG", mode="LA"), "image/png"),
        (plain("PNG", size=(1, 1)), "image/png"),
        (plain("PNG", size=(2_000, 2_000), mode="L"), "image/png"),
        (plain("PNG") + b"what is behind it is nobody's", "image/png"),
        (plain("JPEG"), "image/jpeg"),
        (plain("JPEG", mode="L"), "image/jpeg"),
        (plain("JPEG", progressive=True), "image/jpeg"),
        (turned(1), "image/jpeg"),
        (plain("GIF"), "image/gif"),
        (plain("WEBP"), "image/webp"),
        (plain("WEBP", lossless=True, mode="RGBA"), "image/webp"),
    ],
)
def test_what_every_api_takes_is_kept_byte_for_byte(data: bytes, media_type: str) -> None:
    assert decoded(data) == ({"media_type": media_type, "same": True, "note": None}, data)


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "AVIF"])
def test_other_formats_are_converted_and_the_note_says_so(kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("Pillow was built without AVIF")
    said, out = decoded(plain(kind))
    assert said["note"] == f"converted from {kind}"
    assert said["media_type"] in ("image/png", "image/jpeg")
    assert size_of(out) == (40, 30)


@pytest.mark.parametrize("mode", ["CMYK", "I;16", "I", "F", "LAB", "1"])
def test_a_tiff_of_any_colours_is_converted(mode: str) -> None:
    said, out = decoded(plain("TIFF", mode=mode))
    assert said["media_type"] == "image/png"
    assert Image.open(BytesIO(out)).mode in ("L", "RGB", "RGBA")


def test_a_jpeg_in_cmyk_becomes_one_in_rgb() -> None:
    said, out = decoded(plain("JPEG", mode="CMYK"))
    assert said["media_type"] == "image/jpeg"
    assert Image.open(BytesIO(out)).mode == "RGB"


def test_sixteen_bits_become_eight_of_the_same_brightness() -> None:
    rows = b"".join(b"\0" + b"\x80\x00" * 12 for _ in range(4))
    said, out = decoded(png(4, 4, rows, bits=16))
    assert (said["same"], out[24]) == (False, 8)
    grey = saved(Image.new("I;16", (9, 9), 32_768), "PNG")
    shade = Image.open(BytesIO(decoded(grey)[1])).getpixel((4, 4))
    assert shade in (127, 128)


@pytest.mark.parametrize(("orientation", "size"), [(3, (40, 30)), (6, (30, 40)), (8, (30, 40))])
def test_an_image_is_turned_as_its_exif_data_say(orientation: int, size: tuple[int, int]) -> None:
    said, out = decoded(turned(orientation))
    assert not said["same"]
    assert size_of(out) == size
    assert said["note"] is None  # it looks as it did
    assert not Image.open(BytesIO(out)).getexif()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_kept(kind: str) -> None:
    said, out = decoded(animation(kind))
    assert said["note"] == "the first frame of an animation"
    assert not getattr(Image.open(BytesIO(out)), "is_animated", False)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((9_000, 3_000), (2_000, 667)),
        ((9_000, 1), (2_000, 1)),
        ((1, 9_000), (1, 2_000)),
        ((2_001, 100), (2_000, 100)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_large_image_is_scaled_down_and_the_note_says_so(
    kind: str, size: tuple[int, int], shown: tuple[int, int]
) -> None:
    said, out = decoded(plain(kind, size, "L"))
    assert size_of(out) == shown
    was, now = (f"{width:,} × {height:,}" for width, height in (size, shown))
    assert said["note"] == f"scaled down from {was} to {now} pixels"


def test_one_that_was_turned_and_scaled_names_its_sides_as_they_are_seen() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    said, out = decoded(plain("JPEG", (3_000, 1_500), "L", exif=exif))
    assert size_of(out) == (1_000, 2_000)
    assert said["note"] == "scaled down from 1,500 × 3,000 to 1,000 × 2,000 pixels"


@pytest.mark.parametrize("most", [200_000, 40_000, 5_000])
def test_an_image_of_too_many_bytes_is_made_of_fewer(most: int) -> None:
    said, out = decoded(noise((400, 300)), bytes=most)
    assert len(out) <= most
    assert said["media_type"] == "image/jpeg"


def test_what_is_transparent_is_shown_on_white_where_it_must_be_a_jpeg() -> None:
    picture = Image.open(BytesIO(noise((400, 300)))).convert("RGBA")
    picture.putalpha(0)
    _, out = decoded(saved(picture, "PNG"), bytes=20_000)
    assert Image.open(BytesIO(out)).getpixel((200, 150)) == (255, 255, 255)


@pytest.mark.parametrize(
    "data",
    [
        plain("PNG")[:-12],  # without its end
        plain("PNG")[:-1] + b"\0",  # with a wrong checksum
        plain("GIF")[:-1],
    ],
)
def test_what_lacks_only_its_end_is_made_whole(data: bytes) -> None:
    said, out = decoded(data)
    assert not said["same"]
    assert decoded(out)[0]["same"]


SCREEN = b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\0\0\0"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"hello", "no image that can be decoded"),
        (b"\0" * 100, "no image that can be decoded"),
        (b"a long text\n" * 1_000, "no image that can be decoded"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 20, "damaged or cut off"),
        (b"GIF8 is how this text begins, and it is no picture", "damaged or cut off"),
        (b"GIF89a", "damaged or cut off"),
        (b"\xff\xd8\xff", "damaged or cut off"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "damaged or cut off"),
        (b"BM hello", "damaged or cut off"),
        (plain("PNG")[:60], "damaged or cut off"),
        (noise((60, 40), "PNG")[:3_000], "damaged or cut off"),
        (noise((60, 40), "JPEG")[:2_000], "damaged or cut off"),
        (noise((60, 40), "GIF")[:2_000], "damaged or cut off"),
        (noise((60, 40), "WEBP")[:1_000], "damaged or cut off"),
        (noise((60, 40), "BMP")[:2_000], "damaged or cut off"),
        (png(100, 100, b"too few rows"), "damaged or cut off"),
        (png(0, 0), "."),
        (png(0, 5), "."),
        (png(50_000, 50_000, b"\0" * 100, bits=1, colour=0), "million pixels are the most"),
        (png(50_001, 1_000), "million pixels are the most"),
        (SCREEN + b"," + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\2\2\x44\1\0;", "million pixels"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG.*render it to PNG"),
        (b"\n<?xml version='1.0'?><svg/>", "SVG.*render it to PNG"),
        (b"<!doctype html><p>Not found", "a page or another text"),
        (b"%PDF-1.7 and so on", "a PDF; render it to PNG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC; convert it"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000; convert it"),
        (b"\xff\x0a\x01\x02", "JPEG XL; convert it"),
        (b"8BPS\0\1", "Photoshop file; convert it"),
        (plain("ICO"), "an icon; convert it"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image that can be decoded"),
    ],
)
def test_what_is_no_image_is_refused_with_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        work(OPTIONS, data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_whatever_is_cut_off_anywhere_is_refused_or_made_whole(kind: str) -> None:
    data = noise((24, 16), kind)
    for length in range(1, len(data), max(1, len(data) // 25)):
        with contextlib.suppress(Refused):
            said, out = decoded(data[:length])
            assert said["same"] or decoded(out)[0]["same"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_whatever_byte_is_wrong_nothing_but_an_image_comes_out(kind: str) -> None:
    data = noise((24, 16), kind)
    for place in range(0, len(data), max(1, len(data) // 40)):
        wrong = data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
        with contextlib.suppress(Refused):
            decoded(wrong)
