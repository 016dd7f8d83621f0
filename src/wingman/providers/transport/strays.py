"""Strays: what comes in place of a stream, or stands in one and is of no protocol.

A proxy's page, an error as JSON under a good status, a coding that nobody asked for.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from wingman.errors import ProviderError
from wingman.providers.transport.explaining import (
    Explanation,
    explained,
    is_error,
    is_page,
    page_text,
)
from wingman.providers.transport.failures import reported, request_id, told

__all__ = ["no_stream", "stray"]

_LONGEST_WORD: Final = 200
_FRAMED: Final = ("data:", "event:", ":")


def no_stream(
    body: bytes,
    headers: Mapping[str, str],
    provider: str,
    secrets: Iterable[str] = (),
    *,
    coding: str | None = None,
) -> ProviderError | None:
    """A good response out of which nothing could be read, as an error that says what it is.

    `body` is its beginning, `coding` a content coding that is not known. None where the body has
    nothing to say: it is empty, or is but the beginning of a stream.
    """
    id, type = request_id(headers), headers.get("content-type", "").partition(";")[0].strip()
    if coding is not None and body:
        text = (
            f"its answer has the content coding {coding!r}, which was not asked for and is not "
            "known: look at its base URL, and at the proxies before it"
        )
        return told(ProviderError, text, provider, secrets, request_id=id)
    text = body.decode(errors="replace")
    if not text.strip():
        return None
    if type.lower() == "text/html" or is_page(text):
        title = page_text(text)
        shown = f" ({title!r})" if title else ""
        text = f"answered with a web page{shown} and not with a stream: look at its base URL"
        return told(ProviderError, text, provider, secrets, request_id=id)
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _no_json(text, type, id, provider, secrets)
    if isinstance(value, dict) and is_error(value):
        return reported(explained(value), provider, secrets, request_id=id, may_pass=False)
    said = explained(value).message or text
    text = f"answered with JSON and not with a stream: {said[:_LONGEST_WORD]}"
    return told(ProviderError, text, provider, secrets, request_id=id)


def stray(tail: bytes) -> Explanation | None:
    """What stands in a stream's last bytes that is of no protocol, such as a proxy's error."""
    text = "\n".join(line for line in tail.decode(errors="replace").splitlines() if _strays(line))
    if not text.strip():
        return None
    if is_page(text):
        return Explanation(f"a web page came in the middle of the stream ({page_text(text)!r})")
    try:
        return explained(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return Explanation(f"its stream has what is no event: {text.strip()[:_LONGEST_WORD]!r}")


def _no_json(
    text: str, type: str, id: str | None, provider: str, secrets: Iterable[str]
) -> ProviderError | None:
    lines = text.splitlines()
    if any(line.startswith(_FRAMED) for line in lines):  # a stream that broke off
        said = stray(text.encode())
        if said is None:
            return None
        return reported(said, provider, secrets, request_id=id, may_pass=True)
    if text.lstrip().startswith(("{", "[")):
        return None
    shown = " ".join(text.split())[:_LONGEST_WORD]
    if sum(not char.isprintable() or char == "\ufffd" for char in shown) > len(shown) // 4:
        shown = "bytes that are no text"
    kind = f" ({type})" if type else ""
    text = f"answered with what is no stream{kind}: {shown}"
    return told(ProviderError, text, provider, secrets, request_id=id)


def _strays(line: str) -> bool:
    """Whether a line belongs to no stream: neither to Server-Sent Events nor to NDJSON."""
    line = line.strip()
    if not line or line in ("data", "event") or line.startswith((*_FRAMED, "id:", "retry:")):
        return False
    if not line.startswith('{"'):
        return True
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False  # it broke off
    return isinstance(value, dict) and is_error(value)
