"""A compressed answer is bounded while it is inflated, and coded once at most."""

import gzip
import tracemalloc
import zlib

import httpx
import pytest
import trio

from provider_wires import openai_text
from wingman.errors import ProviderError, ProviderRejected, ProviderStreamError
from wingman.providers import OpenAICompatible, Retry, Transport
from wingman.providers.transport import Call

CALL = Call("anthropic", "http://model.test/v1")
MEGABYTE = 1_000_000
BOMB = gzip.compress(b"\0" * 20 * MEGABYTE)
"""20 kilobytes, and 100 bytes where it is coded once more."""


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


CODED = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "Deflate ": raw_deflate,
    "identity": bytes,
    "none": bytes,
    "identity, gzip": gzip.compress,
    "gzip,": gzip.compress,
}


def answering(body: bytes, coding: str, status: int = 200) -> Transport:
    class Network(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            async def pieces():
                for place in range(0, len(body), 65_536):
                    await trio.lowlevel.checkpoint()
                    yield body[place : place + 65_536]

            headers = [("content-encoding", one) for one in coding.split("|")]
            return httpx.Response(status, content=pieces(), headers=headers)

    return Transport(over=Network(), retry=Retry(attempts=1))


async def received(transport: Transport) -> tuple[int, int]:
    """How many bytes came, and the largest piece."""
    total = largest = 0
    async with transport:
        stream = await transport.open_stream(CALL)
        try:
            while piece := await stream.receive():
                total += len(piece)
                largest = max(largest, len(piece))
        finally:
            await stream.aclose()
    return total, largest


@pytest.mark.parametrize("coding", CODED)
async def test_one_coding_is_understood(coding, ask):
    body = CODED[coding](openai_text())
    async with answering(body, coding) as transport:
        provider = OpenAICompatible("m", base_url="http://model.test")
        parts = [part async for part in provider.stream(ask("Rain?"), transport)]
    assert "".join(getattr(part, "text", "") for part in parts) == "It will rain."


async def test_members_of_gzip_that_follow_each_other_are_one_body():
    body = gzip.compress(b"a" * 1000) + gzip.compress(b"b" * 1000)
    assert (await received(answering(body, "gzip")))[0] == 2000


@pytest.mark.parametrize(
    "coding",
    [
        "gzip, gzip",
        "gzip,gzip,gzip",
        "deflate, gzip",
        "gzip|gzip",
        "br, gzip",
        "gzip, identity, br",
    ],
)
@pytest.mark.parametrize("status", [200, 500, 400])
async def test_more_than_one_coding_is_refused(coding, status):
    bomb = gzip.compress(BOMB)
    tracemalloc.start()
    try:
        with pytest.raises(ProviderError) as caught:
            await received(answering(bomb, coding, status))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * MEGABYTE
    if status == 200:
        assert "compressed more than once" in caught.value.message
        assert type(caught.value) is ProviderError  # asking again changes nothing


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_what_is_inflated_comes_in_small_pieces_while_others_run(coding):
    bomb = CODED[coding](b"\0" * 10 * MEGABYTE)
    turns = 0

    async def others():
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    tracemalloc.start()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(others)
            total, largest = await received(answering(bomb, coding))
            nursery.cancel_scope.cancel()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 10 * MEGABYTE
    assert largest <= 65_536
    assert peak < 3 * MEGABYTE
    assert turns >= total // 65_536 - 1


async def test_an_answer_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr("wingman.providers.transport.bytestream._MOST_BYTES", MEGABYTE)
    bomb = gzip.compress(b"\0" * 2 * MEGABYTE)
    for body, coding in ((bomb, "gzip"), (b"\0" * 2 * MEGABYTE, "identity")):
        with pytest.raises(ProviderStreamError, match="larger than 1000000 bytes"):
            await received(answering(body, coding))


async def test_a_refusal_and_a_list_of_models_are_bounded_too():
    tracemalloc.start()
    try:
        async with answering(BOMB, "gzip", 400) as transport:
            with pytest.raises(ProviderRejected):
                await transport.open_stream(CALL)
            peak = tracemalloc.get_traced_memory()[1]
        async with answering(BOMB, "gzip") as transport:
            with pytest.raises(ProviderStreamError, match="not JSON"):
                await transport.get_json(CALL)
    finally:
        tracemalloc.stop()
    assert peak < 3 * MEGABYTE


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_what_cannot_be_inflated_is_a_broken_answer(coding):
    for body in (b"plain text", CODED[coding](b"a" * 1000)[:-4] + b"\xff" * 4):
        with pytest.raises(ProviderStreamError, match="cannot be inflated"):
            await received(answering(body, coding))
