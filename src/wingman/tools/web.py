"""The tool `webfetch`: a page of the public web, as text."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import trio

from wingman.errors import ToolError
from wingman.processes import WorkerFailed, WorkerRefused, clip, run_worker
from wingman.tools.base import ToolContext
from wingman.tools.decorator import tool

if TYPE_CHECKING:
    from wingman.tools.fetching import Answer

__all__ = ["webfetch"]

_PROGRAM = Path(__file__).with_name("pages") / "program.py"
_LARGEST_BODY = 5_000_000  # bytes, compressed and decompressed
_LARGEST_HTML = 1_000_000  # bytes; the worst takes seconds to convert
_LONGEST_WORK = 20.0  # seconds to make text of a body
_MOST_MEMORY = 400_000_000  # bytes, for that
_ANSWER_ROOM = 100_000  # bytes of the worker's answer beside the text
_WIDEST = 6  # bytes of a character in JSON
_ERROR_SHOWN = 2_000  # characters of an error's page
_LONGEST_NAME = 100  # characters of a header's value
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?\s*([^\s\";,]+)", re.IGNORECASE)

Seconds = Annotated[float, msgspec.Meta(gt=0, le=120)]


@tool(resources=("url",), leave_out_unknown=True)
async def webfetch(url: str, context: ToolContext, timeout: Seconds = 30) -> str:
    """Fetch a page of the public web and return it as text: HTML as Markdown, JSON and text as is.

    Redirects are followed. Scripts are not run, and no log-in is given. Other kinds of content
    (images, PDF, archives) and addresses that are not public are refused.

    Args:
        url: The address, http:// or https://.
        timeout: Seconds for all of it, 120 at most.
    """
    from wingman.tools.fetching import fetch, shown  # noqa: PLC0415  (httpcore: heavy)

    name = shown(url)
    with trio.move_on_after(timeout):
        answer = await fetch(url, context, _LARGEST_BODY)
        if answer.status >= 400:
            said = await _error_text(answer)
            raise ToolError(f"{name} answered with HTTP {answer.status}. {said}".strip())
        if answer.status >= 300:
            raise ToolError(
                f"{name} answered with HTTP {answer.status}, and neither with a page nor with "
                "another address."
            )
        try:
            return await _text(answer, context.max_output)
        except WorkerRefused as error:
            raise ToolError(f"{name} {error}") from error
        except WorkerFailed as error:
            raise ToolError(
                f"{name} could not be made into text: {error} Fetch it to a file with `curl` in "
                "bash, or look for another source."
            ) from error
    raise ToolError(f"{name} took longer than {timeout:g} s: try again later, or another source.")


async def _error_text(answer: "Answer") -> str:
    """What the page of an error says, as far as it is text."""
    try:
        return await _text(answer, _ERROR_SHOWN, noted=False)
    except (WorkerRefused, WorkerFailed):
        return ""


async def _text(answer: "Answer", room: int, *, noted: bool = True) -> str:
    """The body as text of at most `room` characters, with the notes on it."""
    content_type = answer.header("content-type").rpartition(",")[2].strip()
    charset = _CHARSET.search(content_type)
    options = {
        "media_type": content_type.partition(";")[0].strip().lower()[:_LONGEST_NAME],
        "charset": charset[1][:_LONGEST_NAME] if charset else "",
        "codings": [
            coding.strip().lower() for coding in answer.header("content-encoding").split(",")
        ],
        "cut": answer.is_cut,
        "most": _LARGEST_BODY,
        "most_html": _LARGEST_HTML,
        "show": room,
    }
    result: dict[str, Any] = json.loads(
        await run_worker(
            _PROGRAM,
            options,
            answer.body,
            seconds=_LONGEST_WORK,
            memory=_MOST_MEMORY,
            max_answer=_WIDEST * room + _ANSWER_ROOM,
        )
    )
    text = result["text"].replace("\0", "\ufffd")
    notes = "".join(f"\n[{note}]" for note in result["notes"]) if noted else ""
    return (clip(text, max(room - len(notes), 0), result["length"]) + notes).lstrip("\n")
