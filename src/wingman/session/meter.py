"""Meter: what a run has used so far, inference by inference."""

import attrs

from wingman.conversation import NO_USAGE, Usage

__all__ = ["Meter"]


@attrs.define(eq=False)
class Meter:
    """Adds up the usage of a run's inferences, also of one that is under way or has failed."""

    usage: Usage = NO_USAGE
    _before: Usage = NO_USAGE

    def begin(self) -> None:
        """An inference begins: what it counts comes on top of what there was."""
        self._before = self.usage

    def count(self, usage: Usage) -> None:
        """What the inference under way has used so far, cumulative."""
        self.usage = self._before + usage
