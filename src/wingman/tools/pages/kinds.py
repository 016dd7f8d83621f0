"""Whether a body is HTML or text: by its media type, or by a look at it.

The look is that of https://mimesniff.spec.whatwg.org/ (7.1 and 7.2), as far as text goes.
"""

import re

from wingman.processes.working import Refused

__all__ = ["HTML", "kind_of"]

HTML = {"text/html", "application/xhtml+xml"}
_UNKNOWN = {"unknown/unknown", "application/unknown", "*/*"}
_MEDIA = ("image/", "audio/", "video/", "font/")
_TEXT_SUFFIXES = ("+json", "+xml", "+yaml", "+json-seq")
_TEXT_BY_NAME = {"video/mp2t"}  # what servers call TypeScript, by the ending `.ts`
_LOOKED_AT = 1_445  # bytes
_BOMS = (b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe")
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_MARKUP = re.compile(
    rb"\s*(?:<!--|<(?:!DOCTYPE HTML|HTML|HEAD|SCRIPT|IFRAME|H1|DIV|FONT|TABLE|A|STYLE|TITLE|B|BODY"
    rb"|BR|P)[\s>])",
    re.IGNORECASE,
)
_MAGIC = (
    (b"%PDF-", "a PDF"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"PK\x03\x04", "an archive (zip)"),
    (b"\x1f\x8b\x08", "an archive (gzip)"),
    (b"Rar \x1a\x07\x00", "an archive (rar)"),
    (b"BZh", "an archive (bzip2)"),
    (b"\xfd7zXZ\x00", "an archive (xz)"),
    (b"7z\xbc\xaf\x27\x1c", "an archive (7z)"),
    (b"\x28\xb5\x2f\xfd", "an archive (zstd)"),
    (b"%!PS-Adobe-", "PostScript"),
    (b"\x7fELF", "a program"),
)


def kind_of(media_type: str, body: bytes) -> str:
    """`html` or `text`. Raises `Refused`, with what it is and what to do, for what is neither."""
    if media_type in HTML:
        return "html"
    if "/" not in media_type or media_type in _UNKNOWN:
        what = _binary_kind(body)
        if what is not None:
            raise _no_text(what)
        return "html" if _MARKUP.match(body) else "text"
    if media_type.endswith(_TEXT_SUFFIXES):
        return "text"
    if media_type.startswith("text/") and media_type != "text/plain":
        return "text"
    if media_type == "text/plain":  # what a server calls a file of which it knows nothing
        if what := _magic(body):
            raise _no_text(what)
        return "text"
    if media_type.startswith(_MEDIA) and media_type not in _TEXT_BY_NAME:
        raise _no_text(media_type)
    # There are hundreds of types of text below `application/`: its bytes say what it is.
    if what := _binary_kind(body):
        raise _no_text("a PDF" if what == "a PDF" else media_type)
    return "text"


def _binary_kind(body: bytes) -> str | None:
    """What a body is that is no text; None for text."""
    if what := _magic(body):
        return what
    start = body[:_LOOKED_AT]
    return "binary" if not start.startswith(_BOMS) and _BINARY.search(start) else None


def _magic(body: bytes) -> str | None:
    return next((what for magic, what in _MAGIC if body.startswith(magic)), None)


def _no_text(what: str) -> Refused:
    way = "fetch it to a file with `curl` in bash"
    if what in {"a PDF", "application/pdf"}:
        way += ", and read that with `pdftotext`"
    return Refused(f"is {what}, not text: where it is needed, {way}.")
