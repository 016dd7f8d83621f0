"""The messages of one connection, both ways, between the SDK and what carries them.

What comes is screened before the SDK sees it. The SDK has a task for every message: a server that
sends a hundred thousand of them would have as many. So notifications end here, and the server's
requests are let through up to a bound. A list of tools is cleaned, since one bad entry would cost
all the others.

What goes waits for nobody. The SDK tells the server of a cancelled call, and does so shielded: a
server that does not read would hold the cancel. Here a message is put into a queue, and a request
that is cancelled while it is still there is taken out of it. So the queue is bounded by the calls.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import anyio
import attrs
import trio
from mcp.shared.message import SessionMessage
from mcp_types import (
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
)

from wingman.mcp.diary import Diary

__all__ = ["Outbox", "Progress", "Traffic"]

Progress: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Is told the parameters of each notification of progress."""

_MOST_REQUESTS: Final = 100  # of a server that are not answered yet
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "notice": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.ERROR,
    "alert": logging.ERROR,
    "emergency": logging.ERROR,
}
_SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"


@attrs.define(eq=False)
class Outbox:
    """What is to be sent, in order. It is a stream that the SDK writes to, and never waits."""

    _waiting: OrderedDict[int, SessionMessage] = attrs.field(factory=OrderedDict, init=False)
    _requests: dict[object, int] = attrs.field(factory=dict, init=False)
    _number: int = attrs.field(default=0, init=False)
    _filled: trio.Event = attrs.field(factory=trio.Event, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    async def send(self, item: SessionMessage, /) -> None:
        """Put it into the queue. Raises `anyio.ClosedResourceError` once it is closed."""
        if self._closed:
            raise anyio.ClosedResourceError
        message = item.message
        if isinstance(message, JSONRPCNotification) and self._take_back(message):
            return
        self._number += 1
        self._waiting[self._number] = item
        if isinstance(message, JSONRPCRequest):
            self._requests[message.id] = self._number
        self._filled.set()

    async def next(self) -> SessionMessage | None:
        """Take the next message; None when there will be no more."""
        while not self._waiting:
            if self._closed:
                return None
            self._filled = trio.Event()
            await self._filled.wait()
        _, item = self._waiting.popitem(last=False)
        if isinstance(item.message, JSONRPCRequest):
            self._requests.pop(item.message.id, None)
        return item

    async def aclose(self) -> None:
        """Nothing more is sent."""
        self._closed = True
        self._waiting.clear()
        self._filled.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _take_back(self, message: JSONRPCNotification) -> bool:
        """Whether this cancels a request that has not been sent: then neither is."""
        if message.method != "notifications/cancelled":
            return False
        number = self._requests.pop((message.params or {}).get("requestId"), None)
        return number is not None and self._waiting.pop(number, None) is not None


@attrs.define(eq=False)
class Traffic:
    """The messages of one connection. `clean` makes a list of tools what the SDK will take;
    `changed` is called when the server says that it has others.

    `progress` has who is told of a call's progress, by the call's token; `unsent` are the tokens of
    calls that have not been sent. `heard`: something has come.
    """

    diary: Diary
    clean: Callable[[object], list[Any]]
    changed: Callable[[], None]
    outbox: Outbox = attrs.field(factory=Outbox, init=False)
    progress: dict[object, Progress] = attrs.field(factory=dict, init=False)
    unsent: set[object] = attrs.field(factory=set, init=False)
    heard: bool = attrs.field(default=False, init=False)
    _inbox: "_Inbox" = attrs.field(factory=lambda: _Inbox(), init=False)
    _listings: set[object] = attrs.field(factory=set, init=False)
    _asked: set[object] = attrs.field(factory=set, init=False)

    @property
    def inbox(self) -> trio.MemoryReceiveChannel[SessionMessage | Exception]:
        """The stream that the SDK reads from."""
        return self._inbox.receive

    async def received(self, item: SessionMessage) -> None:
        """Hand on to the SDK what it has to see of what has come. Raises `trio.BrokenResourceError`
        once nobody reads."""
        self.heard = True
        if self._passes(item.message):
            await self._inbox.send.send(item)
        else:
            await trio.lowlevel.checkpoint()

    async def ended(self) -> None:
        """Nothing more will come: all who wait for an answer are told."""
        await self._inbox.send.aclose()

    async def next(self) -> SessionMessage | None:
        """The next message to be sent; None when there will be no more."""
        item = await self.outbox.next()
        if item is not None:
            match item.message:
                case JSONRPCRequest(id=id, method="tools/list"):
                    self._listings.add(id)
                case JSONRPCResponse(id=id) | JSONRPCError(id=id):
                    self._asked.discard(id)
        return item

    def wrote(self, item: SessionMessage) -> None:
        """It has been sent."""
        if self.unsent and isinstance(item.message, JSONRPCRequest):
            self.unsent.discard(token_of(item.message.params))

    def _passes(self, message: JSONRPCMessage) -> bool:
        match message:
            case JSONRPCNotification():
                return self._notified(message.method, message.params or {})
            case JSONRPCRequest():
                return self._may_ask(message)
            case JSONRPCResponse() if message.id in self._listings:
                self._listings.discard(message.id)
                if "tools" in message.result:
                    message.result["tools"] = self.clean(message.result["tools"])
            case JSONRPCError() if message.id is not None:
                self._listings.discard(message.id)
        return True

    def _notified(self, method: str, params: Mapping[str, Any]) -> bool:
        """Deal with a notification; whether the SDK has to see it."""
        match method:
            case "notifications/progress":
                if (told := self.progress.get(_key(params.get("progressToken")))) is not None:
                    told(params)
            case "notifications/message":
                level = _LEVELS.get(str(params.get("level")), logging.INFO)
                self.diary.note(level, str(params.get("data"))[:2_000])
            case "notifications/tools/list_changed":
                self.changed()
                return _SUBSCRIPTION in (params.get("_meta") or {})
            case "notifications/cancelled":
                self._asked.discard(_key(params.get("requestId")))
                return True
            case "notifications/subscriptions/acknowledged":
                return True
        return False

    def _may_ask(self, message: JSONRPCRequest) -> bool:
        """Whether the server's request goes on; it is refused while too many are not answered."""
        if len(self._asked) < _MOST_REQUESTS:
            self._asked.add(message.id)
            return True
        if message.id not in self._asked:
            self.diary.note(logging.WARNING, "it asks too much at once, and is not answered")
        return False


class _Inbox:
    """A channel that holds nothing: who sends waits until the SDK takes it."""

    def __init__(self) -> None:
        self.send, self.receive = trio.open_memory_channel[SessionMessage | Exception](0)


def token_of(params: Mapping[str, Any] | None) -> object:
    """The token by which a request is told of its progress."""
    meta = (params or {}).get("_meta")
    return _key(meta.get("progressToken")) if isinstance(meta, Mapping) else None


def _key(token: object) -> object:
    return token if isinstance(token, str | int) else None
