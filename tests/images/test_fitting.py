"""Images on their way into a history, each looked at by a process that can be killed."""

from pathlib import Path
from typing import Any

import pytest
import trio

from pictures import PIXEL_BYTES, block, bytes_of, look, plain, png
from wingman import ImageBlock, images
from wingman.errors import Overloaded
from wingman.images import MOST_IMAGES, ImageRefused, fit_image, fit_images
from wingman.images import fitting as fitting_module
from wingman.processes import WorkerFailed


@pytest.fixture(autouse=True)
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image is known yet."""
    fitting_module._fitting.clear()


async def test_an_image_that_every_api_takes_is_the_same_afterwards() -> None:
    image = block(plain("PNG"))
    assert await fit_image(image) is image


async def test_an_image_goes_by_the_name_that_its_bytes_have() -> None:
    data = plain("JPEG")
    for said in ("image/png", "image/jpg", "image/x-unknown", "image/svg+xml"):
        fitted = await fit_image(block(data, said))
        assert (fitted.media_type, bytes_of(fitted)) == ("image/jpeg", data)


async def test_a_large_image_comes_back_smaller_with_a_note() -> None:
    fitted = await fit_image(block(plain("PNG", (9_000, 90), "L")))
    assert look(fitted).size == (2_000, 20)
    assert fitted.note == "scaled down from 9,000 × 90 to 2,000 × 20 pixels"


async def test_what_was_fitted_once_fits_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = await fit_image(block(plain("BMP")))

    async def never(*_: object, **__: object) -> bytes:
        raise AssertionError("it was looked at again")

    monkeypatch.setattr(fitting_module, "run_worker", never)
    assert await fit_image(fitted) is fitted


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(fitting_module._REMEMBERED + 10):
        fitting_module._remember(number.to_bytes(32, "big"), "image/png")
    assert len(fitting_module._fitting) == fitting_module._REMEMBERED


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (block(b"hello"), "it is no image that can be decoded"),
        (block(b""), "it is empty"),
        (ImageBlock("image/png", "no base64!"), "its data is not base64"),
        (ImageBlock("image/png", "aGVsbG8"), "its data is not base64"),  # no padding
        (ImageBlock("image/png", "aGVs\nbG8="), "its data is not base64"),
        (ImageBlock("image/png", "ä"), "its data is not base64"),
        (ImageBlock("image/png", "\ud800"), "its data is not base64"),
        (ImageBlock("image/png", "data:image/png;base64,aGk="), "leave out what a data URL has"),
        (ImageBlock("image/png", b"aGk="), "its data is `bytes`, and not base64 in a `str`"),  # type: ignore[arg-type]
        (block(png(50_000, 50_000, b"\0" * 9, bits=1, colour=0)), "million pixels are the most"),
        (ImageBlock("image/png", "A" * 26_666_672), "20,000,000 are the most that is decoded"),
    ],
)
async def test_what_cannot_be_sent_is_refused_with_a_sentence(
    image: ImageBlock, sentence: str
) -> None:
    with pytest.raises(ImageRefused, match=sentence):
        await fit_image(image)


async def test_a_bomb_that_is_as_large_as_may_be_costs_no_more_than_its_worker_may() -> None:
    rows = (b"\0" * 7_001) * 7_000
    fitted = await fit_image(block(png(7_000, 7_000, rows, colour=0)))
    assert look(fitted).size == (2_000, 2_000)


@pytest.mark.parametrize(
    ("limit", "value", "sentence"),
    [
        ("_SECONDS", 0.001, "it could not be decoded: it took longer than"),
        ("_MEMORY", 40_000_000, "it could not be decoded"),
    ],
)
async def test_what_takes_a_worker_too_long_or_too_much_is_refused(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: Any, sentence: str
) -> None:
    monkeypatch.setattr(fitting_module, limit, value)
    with pytest.raises(ImageRefused, match=sentence):
        await fit_image(block(plain("PNG", (3_000, 2_000))))


async def test_where_no_worker_can_be_started_nothing_passes_unchecked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def cannot(*_: object, **__: object) -> bytes:
        raise WorkerFailed("A worker could not be started.") from OSError(24, "EMFILE")

    monkeypatch.setattr(fitting_module, "run_worker", cannot)
    with pytest.raises(Overloaded, match="An image cannot be looked at now"):
        await fit_image(block(PIXEL_BYTES))
    with pytest.raises(Overloaded, match="An image cannot be looked at now"):
        await fit_images([block(PIXEL_BYTES), block(plain())])


async def test_of_several_images_each_has_its_own_result_in_order() -> None:
    given = [block(plain()), block(b"hello"), block(plain("GIF"), "image/gif")]
    first, second, third = await fit_images(given)
    assert (first, third) == (given[0], given[2])
    assert isinstance(second, ImageRefused)
    assert await fit_images([]) == []


async def test_so_many_images_and_no_more() -> None:
    pixel = block(PIXEL_BYTES)
    await fit_image(pixel)
    results = await fit_images([pixel] * (MOST_IMAGES + 2))
    assert results[:MOST_IMAGES] == [pixel] * MOST_IMAGES
    assert all(isinstance(result, ImageRefused) for result in results[MOST_IMAGES:])


async def test_a_cancel_ends_the_looking_at_once() -> None:
    large = block(plain("PNG", (3_000, 2_000)))
    with trio.move_on_after(0.05) as scope:
        await fit_images([large] * 3)
    assert scope.cancelled_caught


def test_the_worker_imports_nothing_of_the_server() -> None:
    source = Path(images.__file__).with_name("decoding.py").read_text()
    assert [line for line in source.splitlines() if line.startswith("from wingman")] == [
        "from wingman.processes.working import Refused"
    ]
