"""Refusals: whether an API has refused a request for something in it, so that less of it may pass.

A request that is refused as a whole, for its key, its model or its options, fails whatever is left
out. Providers do not tell these apart by their status alone, and some report a bad image as a fault
of their own. In doubt it is asked again: that costs up to three requests.
"""

import re
from typing import Final

from wingman.conversation import ImageBlock, ToolResultBlock
from wingman.errors import (
    ContextTooLong,
    ProviderAuthError,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
)
from wingman.providers import Request

__all__ = ["is_refusal", "is_too_long", "may_forget", "sizes_in"]

_STATUSES: Final = frozenset({400, 413, 422})

# What no other history would mend.
_OF_THE_ACCOUNT: Final = re.compile(
    r"credit balance|billing|quota|api key|unknown model|model.{0,40}(not found|does not exist)",
    re.IGNORECASE,
)
# Some report what is wrong with an image in the stream, or as a fault of the server.
_OF_IMAGES: Final = re.compile(r"image|vision|multimodal|mmproj|media.?type", re.IGNORECASE)
_TOO_LONG: Final = re.compile(
    r"too (long|large|many tokens)|context.?(length|window|size)|maximum.{0,20}(context|tokens)"
    r"|exceeds?.{0,40}(context|tokens)|token limit",
    re.IGNORECASE,
)


# Each API's own words: Anthropic, OpenAI, Gemini, Mistral, llama.cpp, vLLM, Bedrock, Groq, xAI.
_OF_LENGTH: Final = re.compile(
    r"context_length_exceeded|exceed_context_size|context (length|window|size|limit)"
    r"|(prompt|input|request|conversation|history) (is|was) too (long|large)"
    r"|maximum (context|prompt) length|input token count|too many (input |prompt )?tokens"
    r"|reduce the length of the (messages|prompt|input)|available context"
    r"|prompt contains .{0,40}tokens|longer than the maximum model length"
    r"|inputs.{0,3} tokens \+ .{0,3}max_new_tokens",
    re.IGNORECASE,
)
# What no shorter history would mend: too large an answer is asked for, or too much in a minute.
_NOT_OF_LENGTH: Final = re.compile(
    r"max(_completion|_output)?_tokens.{0,3} is too large|rate.?limit|tokens per minute|\bTPM\b",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"(?<![\w.-])\d{1,3}(?:,\d{3})+(?![\w-])|(?<![\w.-])\d{3,8}(?![\w-])")
_LEAST_WINDOW: Final = 512  # what is below, such as a status, is no window


def is_too_long(error: ProviderError | ContextTooLong) -> bool:
    """Whether a request was refused for its length: a shorter one may be taken."""
    if isinstance(error, ContextTooLong):
        return True
    if isinstance(error, ProviderAuthError | ProviderRateLimited | ProviderTimeout):
        return False
    said = f"{error.error_type or ''} {error.message}"
    if _NOT_OF_LENGTH.search(said):
        return False
    return error.status == 413 or _OF_LENGTH.search(said) is not None


def sizes_in(said: str) -> tuple[int | None, int | None]:
    """The tokens of a request that is too long, and how many there may be, by a refusal's words.

    Most name both, and the larger one is the request's; one alone is the most that is taken.
    """
    found = {int(number.replace(",", "")) for number in _NUMBER.findall(said)}
    sizes = sorted((size for size in found if size >= _LEAST_WINDOW), reverse=True)
    if len(sizes) < 2:
        return None, sizes[0] if sizes else None
    return sizes[0], sizes[1]


def is_refusal(error: ProviderError, request: Request) -> bool:
    """Whether the provider may take the request without some of what is in it.

    One that is too long is to be compacted; but it is the images that make a body too large.
    """
    if isinstance(error, ProviderAuthError | ProviderRateLimited | ProviderTimeout):
        return False
    if is_too_long(error) and not (error.status == 413 and _shows_images(request)):
        return False
    said = f"{error.error_type or ''} {error.message}"
    if _OF_THE_ACCOUNT.search(said):
        return False
    if error.refused or (isinstance(error, ProviderRejected) and error.status in _STATUSES):
        return True
    return _OF_IMAGES.search(said) is not None and _shows_images(request)


def may_forget(error: ProviderError) -> bool:
    """Whether the whole conversation before the run may be left out for this refusal.

    One that is too long is for its user to go on from: what of it matters is not known here.
    """
    said = f"{error.error_type or ''} {error.message}"
    return error.status != 413 and _TOO_LONG.search(said) is None


def _shows_images(request: Request) -> bool:
    return any(
        isinstance(block, ImageBlock) or (isinstance(block, ToolResultBlock) and block.images)
        for message in request.messages
        for block in message.content
    )
