"""Shown: what a model is shown of a history, kept as the history grows.

A step looks only at the messages that came since the last one. From the start begins what is shown
to another model, or after an answer that says what is to be withheld from this one, and whenever
more of the oldest images are left out.
"""

from collections.abc import Sequence
from typing import Final

import attrs
import trio

from wingman.conversation import Message
from wingman.providers import Kept, Provider
from wingman.run.context import characters_of
from wingman.run.history import joined
from wingman.run.sendable import image_sizes, marked, told, too_old, withholds

__all__ = ["Shown"]

_A_SLICE: Final = 256  # messages, after which others have their turn


@attrs.define(eq=False)
class Shown:
    """What one session's model is shown. `messages` alternate, and `characters` counts them.

    `kept` is what adapters keep of them. It all goes with the session.
    """

    kept: Kept = attrs.field(converter=Kept)
    messages: list[Message] = attrs.field(factory=list, init=False)
    characters: int = attrs.field(default=0, init=False)
    _history: Sequence[Message] | None = attrs.field(default=None, init=False)
    _taken: int = attrs.field(default=0, init=False)  # of the history's messages
    _model: tuple[str, str] = attrs.field(default=("", ""), init=False)
    _sizes: list[int] = attrs.field(factory=list, init=False)  # of the images
    _left: int = attrs.field(default=0, init=False)  # of the images, the oldest

    @property
    def images(self) -> int:
        """How many images are shown, those that are too old included."""
        return len(self._sizes)

    async def follow(self, history: Sequence[Message], provider: Provider) -> list[Message]:
        """Take what has come to a history; return all that this model is shown of it.

        A history is a list that only grows. Others have their turn while a long one is taken.
        """
        model = (provider.id, provider.model)
        new, anew = history[self._taken :], True
        if history is self._history and model == self._model and _are_plain(new):
            self._history = None  # as below
            for message in new:
                self._add(message)
            self._history, self._taken = history, len(history)
            return self.messages.copy()
        if history is self._history and model == self._model:
            anew = any(withholds(message, *model) for message in new)
        self._history = None  # what is left in the middle begins anew
        if anew:
            self._sizes, new = [], marked(history, *model)
        shown = len(self._sizes)
        for number, message in enumerate(new, 1):
            self._sizes += image_sizes(message)
            if number % _A_SLICE == 0:
                await trio.lowlevel.checkpoint()
        left = too_old(self._sizes)
        if left != self._left and not anew:
            shown, new, anew = 0, marked(history, *model), True
        if anew:
            self.messages, self.characters = [], 0
        for number, message in enumerate(new, 1):
            self._add(told(message, left - shown))
            shown += len(image_sizes(message))
            if number % _A_SLICE == 0:
                await trio.lowlevel.checkpoint()
        self._history, self._taken, self._model, self._left = history, len(history), model, left
        return self.messages.copy()

    def _add(self, message: Message) -> None:
        if not message.content:
            return
        self.characters += characters_of(message)
        if self.messages and self.messages[-1].role == message.role:
            message = joined(self.messages.pop(), message)
        self.messages.append(message)


def _are_plain(messages: Sequence[Message]) -> bool:
    """Whether these few messages are shown as they are, and change nothing of what was shown."""
    if len(messages) > _A_SLICE:
        return False
    return not any(message.withheld is not None or image_sizes(message) for message in messages)
