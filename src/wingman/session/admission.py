"""What a message asks for, and what those are told whose message is not, or no longer, taken."""

import hashlib
import sys
from collections.abc import Sequence
from typing import Final, get_args

import attrs
import msgspec

from wingman.api import LABEL, OnAsk, OnBusy, PermissionForm
from wingman.conversation import ImageBlock
from wingman.errors import (
    InvalidRequest,
    NodeLost,
    RequestIdConflict,
    SessionDeleted,
    ShuttingDown,
    StoreError,
    StoreUnavailable,
)
from wingman.images import MOST_IMAGES, ImageRefused, fit_images
from wingman.permissions import Rules
from wingman.run import waiting_error
from wingman.store import RunRecord

__all__ = [
    "RunRequest",
    "check_label",
    "check_rules",
    "check_same_body",
    "check_text",
    "check_title",
    "deleted_error",
    "moved_error",
    "queued_error",
    "refused_error",
    "stays_error",
    "unknown_error",
    "unrecorded_error",
    "weight_of",
]

# Characters: a list shows a thousand of them.
_LONGEST_TITLE: Final = 4096

# Seconds: a year.
_LONGEST_WAIT: Final = 31_536_000

ON_ASK: Final[tuple[str, ...]] = get_args(OnAsk)
ON_BUSY: Final[tuple[str, ...]] = get_args(OnBusy)


@attrs.frozen(kw_only=True)
class RunRequest:
    """What one message asks for. Raises `InvalidRequest` where it cannot be.

    `agent_id` is None for the session's own agent. `callers` are the sessions that wait for
    whoever sends this and waits for the run's end. `kept_images` are the `images` as they enter the
    history; None: they have not been looked at.

    `permissions` are rules for this message alone. A call that needs an answer waits for one, for
    `ask_timeout` seconds at most, or with `on_ask="reject"` is rejected, since nobody is there.
    With `on_busy="steer"` the run in flight is to read the message, and with `expect_run` no other
    one, nor is it to be a run of its own. With `compacts` the message is not for the agent: it says
    what the summary of a history that is to be compacted should have in it.
    """

    message: str
    agent_id: str | None = None
    images: tuple[ImageBlock, ...] = ()
    max_steps: int | None = None
    request_id: str | None = None
    on_busy: OnBusy = "queue"
    callers: frozenset[str] = frozenset()
    kept_images: tuple[ImageBlock, ...] | None = None
    permissions: PermissionForm | None = None
    on_ask: OnAsk | None = None
    ask_timeout: float | None = None
    expect_run: str | None = None
    compacts: bool = False

    def __attrs_post_init__(self) -> None:
        given: object = self.message  # a program without a type checker gives anything
        if not isinstance(given, str):
            raise InvalidRequest(f"Expected `str`, got `{type(given).__name__}` - at `$.message`")
        if not self.message and not self.compacts:
            raise InvalidRequest("The message is empty - at `$.message`")
        if self.on_busy not in ON_BUSY:
            raise InvalidRequest(
                f"on_busy is one of {', '.join(ON_BUSY)}, not {self.on_busy!r} - at `$.on_busy`"
            )
        if self.on_ask is not None and self.on_ask not in ON_ASK:
            raise InvalidRequest(
                f"on_ask is one of {', '.join(ON_ASK)}, not {self.on_ask!r} - at `$.on_ask`"
            )
        timeout: object = self.ask_timeout
        if timeout is not None and not _is_duration(timeout):
            raise InvalidRequest(
                f"ask_timeout is a number of seconds > 0, not {timeout!r} - at `$.ask_timeout`"
            )
        check_rules(self.permissions)
        if self.expect_run is not None and self.on_busy != "steer":
            raise InvalidRequest('expect_run goes with on_busy "steer" - at `$.expect_run`')
        for name in ("agent_id", "request_id", "expect_run"):
            value: object = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise InvalidRequest(
                    f"Expected `str`, got `{type(value).__name__}` - at `$.{name}`"
                )
        steps: object = self.max_steps
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int)):
            raise InvalidRequest(f"Expected `int`, got `{type(steps).__name__}` - at `$.max_steps`")
        if self.max_steps is not None and self.max_steps < 1:
            raise InvalidRequest("Expected `int` >= 1 - at `$.max_steps`")
        if len(self.images) > MOST_IMAGES:
            raise InvalidRequest(
                f"A message has at most {MOST_IMAGES} images, and this one {len(self.images)}: "
                "send the others with the next message - at `$.images`"
            )
        for index, image in enumerate(self.images):
            _check_media_type(image, f"$.images[{index}]")
        for name in ("message", "agent_id", "request_id"):
            check_text(getattr(self, name), f"$.{name}")

    async def with_kept_images(self) -> "RunRequest":
        """The same, with images that can be sent to a model. Raises `InvalidRequest`."""
        kept: list[ImageBlock] = []
        for index, image in enumerate(await fit_images(self.images)):
            if isinstance(image, ImageRefused):
                raise InvalidRequest(
                    f"The image cannot be used: {image} - at `$.images[{index}].data`"
                )
            kept.append(image)
        return attrs.evolve(self, kept_images=tuple(kept))

    @property
    def body_hash(self) -> str | None:
        """What tells two messages apart that come with the same request id."""
        return None if self.request_id is None else self._hash(self.agent_id)

    def same_body(self, record: RunRecord) -> bool:
        """Whether a run was admitted with this very body.

        The hash is of the body as it was sent: what its default agent is may change. Earlier
        versions hashed the agent that was chosen; `agent_id` names it.
        """
        hashes = {self._hash(self.agent_id)}
        if self.agent_id is None:
            hashes.add(self._hash(record.agent_id))
        return record.body_hash in hashes

    def _hash(self, agent_id: str | None) -> str:
        body: tuple[object, ...]
        body = (agent_id, self.message, self.max_steps, self.on_busy, *self.images)
        later = (
            self.permissions,
            self.on_ask,
            self.ask_timeout,
            self.expect_run,
            self.compacts or None,
        )
        if any(field is not None for field in later):  # earlier versions knew none of these
            body += later
        return hashlib.sha256(msgspec.json.encode(body)).hexdigest()


def check_text(text: str | None, path: str) -> None:
    """Raise `InvalidRequest` for a text that cannot be stored, nor sent: one with half a character.

    None comes over HTTP, where all is UTF-8; a program may have one from a file's name.
    """
    try:
        (text or "").encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"The text is not valid Unicode: {error} - at `{path}`") from None


def check_rules(permissions: PermissionForm | None) -> None:
    """Raise `InvalidRequest` for permissions that are none."""
    try:
        Rules.of(permissions)
    except ValueError as error:
        raise InvalidRequest(f"{error} - at `$.permissions`") from error


def _is_duration(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value <= _LONGEST_WAIT


def check_label(label: str | None) -> None:
    """Raise `InvalidRequest` for a label that no node can have."""
    if label is not None and not LABEL.fullmatch(label):
        raise InvalidRequest(
            "A label has 1 to 64 letters, digits, dots, dashes and underscores - at `$.label`"
        )


def check_title(title: str | None) -> None:
    """Raise `InvalidRequest` for a title of a session that is no text, or too long for a list."""
    if title is not None and len(title) > _LONGEST_TITLE:
        raise InvalidRequest(f"Expected `str` of length <= {_LONGEST_TITLE} - at `$.title`")
    check_text(title, "$.title")


def _check_media_type(image: ImageBlock, path: str) -> None:
    given: object = image.media_type
    check_text(given if isinstance(given, str) else None, f"{path}.media_type")
    if not isinstance(given, str) or not given.startswith("image/"):
        raise InvalidRequest(
            f"An image's media_type is such as image/png, not {given!r} - at `{path}.media_type`"
        )


def weight_of(message: str, images: Sequence[ImageBlock], agent: int = 0) -> int:
    """About how many bytes a message takes in memory, with its images and its `agent`'s weight."""
    return sys.getsizeof(message) + sum(len(image.data) for image in images) + agent


def check_same_body(record: RunRecord, request: RunRequest) -> None:
    """Raise `RequestIdConflict` if a request id comes again with a different body."""
    if not request.same_body(record):
        raise RequestIdConflict(
            f"request_id {record.request_id!r} was used before with a different body "
            f"(run {record.id}): use a new one for a new message."
        )


def deleted_error(session_id: str) -> SessionDeleted:
    """What those get who wait for a run of a session that is being deleted."""
    return SessionDeleted(f"Session {session_id} was deleted.")


def moved_error(session_id: str) -> NodeLost:
    """What those get who wait for a run of a session that is not this node's any more."""
    return NodeLost(
        f"The node that ran session {session_id} lost its connection to the database, and has "
        "stopped what it ran. Ask again: another node goes on with the session."
    )


def unknown_error(session_id: str) -> NodeLost:
    """What those get whose message was being recorded when this node lost its session."""
    return NodeLost(
        "The database does not answer the node that was just recording the message. Whether it is "
        "recorded is not known: send it again with its request_id. Another node goes on with "
        f"session {session_id}."
    )


def queued_error(run_id: str) -> ShuttingDown:
    """What those get who wait for a run that will start only after the next start."""
    return ShuttingDown(
        f"The server is shutting down; run {run_id} is queued and starts when it is up again.",
        run_id=run_id,
    )


def stays_error(record: RunRecord) -> ShuttingDown:
    """What those get who wait for a run that stays in the store as it is until the next start."""
    return (waiting_error if record.status == "waiting" else queued_error)(record.id)


def unrecorded_error(run_id: str) -> ShuttingDown:
    """What those get who wait for a run whose end only the next start can record."""
    return ShuttingDown(
        f"The server is shutting down; run {run_id} has stopped, and its end could not be "
        "recorded: it is ended when the server is up again.",
        run_id=run_id,
    )


def refused_error(failure: StoreError) -> StoreError:
    """What those get whose message could not be recorded."""
    if not isinstance(failure, StoreUnavailable):
        return failure
    again = " Send it again later." if failure.retry_after > 0 else ""
    return StoreUnavailable(
        f"The message was not taken, and nothing of it is kept: {failure.message}{again}",
        failure.retry_after,
    )
