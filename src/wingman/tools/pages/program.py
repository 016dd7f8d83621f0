"""The work: a response's body, and what the headers say of it, made text and notes.

Refusals are predicates, for whoever knows the address: "is image/png, not text: …".
"""

import json
from typing import Any

from wingman.processes.working import Refused
from wingman.tools.pages.charsets import decode
from wingman.tools.pages.inflate import inflate
from wingman.tools.pages.kinds import HTML, kind_of

__all__ = ["work"]


def work(options: dict[str, Any], data: bytes) -> bytes:
    """JSON: `text`, `show` characters of it; `length`, of all; and `notes`, sentences.

    The options: `media_type`, `charset` and `codings` as the headers say; `cut`, whether the body
    was longer; `most` and `most_html`, bytes of text and of HTML that are taken; `show`.
    """
    media_type = options["media_type"]
    most = options["most_html"] if media_type in HTML else options["most"]
    body, whole = inflate(data, options["codings"], most + 1)
    kind = kind_of(media_type, body)
    most = options["most_html"] if kind == "html" else options["most"]
    notes = []
    cut = len(body) > most or options["cut"] or not whole
    if len(body) > most or options["cut"]:
        body = body[:most]
        notes.append(f"Only the first {len(body):,} bytes were read.")
    elif not whole:
        notes.append("The compressed body broke off or was damaged: this is its beginning.")
    markup = kind == "html" or media_type.endswith(("/xml", "+xml"))
    text = decode(body, options["charset"], markup=markup, cut=cut)
    if kind == "html":
        text, more = _markdown(text)
        notes = more + notes
    elif not text:
        notes.append("The page is empty.")
    answer = {"text": text[: options["show"]], "length": len(text), "notes": notes}
    return json.dumps(answer, ensure_ascii=False).encode(errors="replace")


def _markdown(page: str) -> tuple[str, list[str]]:
    from wingman.tools.pages.markdown import to_markdown  # noqa: PLC0415 - slow, for HTML alone

    try:
        return to_markdown(page)
    except RecursionError as error:
        raise Refused("is nested too deep to convert: use `curl` in bash.") from error
