"""The characters of a body, by the web's rules: https://encoding.spec.whatwg.org/.

A label means what browsers take it for (`iso-8859-1` is windows-1252), and nothing else is one:
Python's own codecs are never looked up by a name from the net.
"""

import codecs
import re

from webencodings import lookup

from wingman.processes.working import Refused

__all__ = ["decode"]

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_BE, "utf-16be"), (b"\xff\xfe", "utf-16le"))
_PRESCANNED = 1_024  # bytes: a page that says its charset later is not heard by browsers either
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_META = re.compile(rb"<meta[\s/][^>]*", re.IGNORECASE)
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([^\s\"'/>;]+)", re.IGNORECASE)
_XML = re.compile(rb"<\?xml[^>]*?\sencoding\s*=\s*[\"']([^\"']+)[\"']")
_FALLBACK = "windows-1252"


def decode(body: bytes, charset: str, *, markup: bool, cut: bool) -> str:
    """The text of a body. `charset` is what its header says, or ""; `markup`: it may say so itself.
    `cut`: the body was longer, and may end within a character.

    First comes a byte order mark, then the header, then what the markup declares in its first
    1,024 bytes; of other bytes, UTF-8 is what can be it, and the rest windows-1252. Bytes that are
    no characters become U+FFFD. Raises `Refused` for a charset that the web has given up.
    """
    for bom, name in _BOMS:
        if body.startswith(bom):
            return _decoded(body[len(bom) :], name)
    declared = lookup(charset) if charset else None
    if declared is None and markup and (label := _declared(body[:_PRESCANNED])):
        declared = lookup(label)
        if declared is not None and declared.name.startswith("utf-16"):
            return _decoded(body, "utf-8")  # or the declaration could not have been read
        if declared is not None and declared.name == "x-user-defined":
            return _decoded(body, _FALLBACK)
    return _decoded(body, declared.name if declared is not None else _likeliest(body, cut))


def _decoded(body: bytes, name: str) -> str:
    encoding = lookup(name)
    if encoding is None or encoding.name == "replacement":
        raise Refused(
            "is in a character set that browsers no longer read: look for another source, or fetch "
            "it to a file with `curl` in bash and convert that with `iconv`."
        )
    text: str = encoding.codec_info.decode(body, "replace")[0]
    return text


def _declared(start: bytes) -> str:
    """The label that the markup declares, or ""."""
    if found := _XML.match(start):
        return found[1].decode("ascii", "replace")
    for meta in _META.findall(_COMMENT.sub(b"", start)):
        if found := _CHARSET.search(meta):
            return found[1].decode("ascii", "replace")
    return ""


def _likeliest(body: bytes, cut: bool) -> str:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(body, not cut)
    except UnicodeDecodeError:
        return _FALLBACK
    return "utf-8"
