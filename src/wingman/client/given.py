"""Given: how far a run's events have been given, so that what is stored of it is given once."""

from collections.abc import Iterable

import attrs

from wingman.events import Event, PermissionRequested, Text, ToolResult, ToolUse

__all__ = ["Given", "Rest"]


@attrs.define
class Given:
    """What of one run has been given: so many characters of text, these calls, these results.

    Of what is stored of a run, text comes in larger pieces than it was sent in; its characters are
    the same, in the same order.
    """

    _characters: int = 0
    _calls: set[str] = attrs.field(factory=set)
    _results: set[str] = attrs.field(factory=set)
    _requests: set[str] = attrs.field(factory=set)

    def asked(self, permission_id: str) -> bool:
        """Whether this request for a permission was given: after a restart it comes again."""
        return permission_id in self._requests

    def note(self, event: Event) -> None:
        """An event is given."""
        match event:
            case Text(text=text):
                self._characters += len(text)
            case ToolUse(id=id):
                self._calls.add(id)
            case ToolResult(tool_use_id=id):
                self._results.add(id)
            case PermissionRequested(id=id):
                self._requests.add(id)
            case _:
                pass

    def rest(self, stored: Iterable[Event]) -> list[Event]:
        """Of all that is stored of the run, from its beginning, what was not given yet."""
        left = self.begin()
        return [new for event in stored if (new := left.of(event)) is not None]

    def begin(self) -> "Rest":
        """The same, for what is stored of the run and comes piece by piece."""
        return Rest(self._characters, frozenset(self._calls), frozenset(self._results))


@attrs.define
class Rest:
    """Passes what is stored of a run, in order, without what had been given at its making."""

    _skip: int
    _calls: frozenset[str]
    _results: frozenset[str]

    def of(self, event: Event) -> Event | None:
        """What of the next stored event was not given yet."""
        match event:
            case Text(text=text):
                left = text[self._skip :]
                self._skip = max(0, self._skip - len(text))
                return Text(left) if left else None
            case ToolUse(id=id):
                return None if id in self._calls else event
            case ToolResult(tool_use_id=id):
                return None if id in self._results else event
            case _:
                return event
