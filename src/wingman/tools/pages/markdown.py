"""HTML to Markdown, and what a page without text may be."""

import html
import re

from html_to_markdown import ConversionOptions, convert

from wingman.processes.working import Refused

__all__ = ["to_markdown"]

_HEAD = 65_536  # characters of a page in which its title and its refresh are looked for
_LONGEST_URL = 2_000  # characters
_MOST_FRAMES = 20
_SHORT = 200  # characters of a page that is no more than a note

_TITLE = re.compile(r"<title(?:\s[^>]{0,200})?>([^<]{0,2000})", re.IGNORECASE)
_TAG = re.compile(r"<(meta|frame)\s([^>]{1,4000})>", re.IGNORECASE)
_REFRESH = re.compile(r"http-equiv\s*=\s*[\"']?\s*refresh", re.IGNORECASE)
_CONTENT = re.compile(r"content\s*=\s*(?:\"([^\"]*)|'([^']*)|([^\s>]*))", re.IGNORECASE)
_URL = re.compile(r"^[\d.\s]*[;,\s]\s*(?:url\s*=\s*)?[\"']?([^\"']+)", re.IGNORECASE)
_SRC = re.compile(r"src\s*=\s*(?:\"([^\"]*)|'([^']*)|([^\s>]*))", re.IGNORECASE)
_SCRIPT = re.compile(r"<script[\s>]", re.IGNORECASE)
_PASSWORD = re.compile(r"<input\s[^>]{0,500}type\s*=\s*[\"']?password", re.IGNORECASE)


def to_markdown(page: str) -> tuple[str, list[str]]:
    """The text of a page as Markdown, its title first; and notes on what it does instead.

    Raises `Refused` for a page whose elements are nested so deep that nothing is left of it.
    """
    page = page.replace("\0", "\ufffd")  # the converter takes it for a sign of binary data
    text, too_deep = _converted(page, hidden="drop")
    if too_deep and not text:
        raise Refused("is nested too deep to convert: use `curl` in bash.")
    notes = _notes(page, text)
    if too_deep:
        notes.append("Parts of the page are nested too deep to convert, and left out.")
    if not text and _SCRIPT.search(page):
        text, _ = _converted(page, hidden="all")  # what it shows those who run no scripts
    title = _title(page)
    if title and not text.startswith("# "):
        text = f"# {title}\n\n{text}".strip()
    return text, notes


def _converted(page: str, hidden: str) -> tuple[str, bool]:
    options = ConversionOptions(
        extract_metadata=False,
        exclude_selectors=["svg", "iframe"],
        inline_data_media="alt_text_only",
        hidden_content=hidden,
    )
    result = convert(page, options)
    kinds = {str(warning.kind) for warning in result.warnings}
    return (result.content or "").strip(), any("depth_limit_exceeded" in kind for kind in kinds)


def _title(page: str) -> str:
    found = _TITLE.search(page[:_HEAD])
    return " ".join(html.unescape(found[1]).split()) if found else ""


def _notes(page: str, text: str) -> list[str]:
    notes = []
    frames = []
    for name, attributes in _TAG.findall(page[:_HEAD]):
        if name.lower() == "frame":
            frames += [next(filter(None, src), "") for src in _SRC.findall(attributes)[:1]]
        elif _REFRESH.search(attributes) and (content := _CONTENT.search(attributes)):
            value = html.unescape(next(filter(None, content.groups()), ""))
            if url := _URL.match(value.strip()):
                shown = url[1].strip()[:_LONGEST_URL]
                notes.append(f"The page sends its readers on to {shown}: fetch that if it matters.")
    if frames and not text:
        shown = ", ".join(html.unescape(frame)[:_LONGEST_URL] for frame in frames[:_MOST_FRAMES])
        notes.append(f"The page is made of frames: {shown}. Fetch those.")
    elif not text and _SCRIPT.search(page):
        notes.append(
            "Without scripts, which webfetch does not run, this page is empty: look for another "
            "source, or for the address that its scripts get their data from."
        )
    elif not text:
        notes.append("The page is empty.")
    if len(text) < _SHORT and _PASSWORD.search(page):
        notes.append("The page asks for a log-in, which webfetch cannot give.")
    return notes
