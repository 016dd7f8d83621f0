"""Meter: what a run has used so far, inference by inference, and what it costs."""

from typing import Final

import attrs

from wingman.conversation import NO_USAGE, Usage
from wingman.session.prices import Prices

__all__ = ["Meter"]

# A millionth of a price for a million tokens; more digits are the arithmetic's, not the price's.
_DIGITS: Final = 10


@attrs.define(eq=False)
class Meter:
    """Adds up the usage of a run's inferences, also of one that is under way or has failed."""

    prices: Prices
    usage: Usage = NO_USAGE
    _model: str = ""
    _before: Usage = NO_USAGE
    _current: Usage = NO_USAGE
    _paid: float | None = 0.0  # for all inferences but the current one; None: that is not known

    def begin(self, provider: str, model: str) -> None:
        """An inference begins: what it counts comes on top of what there was."""
        self._paid = self._total()
        self._before, self._current = self.usage, NO_USAGE
        self._model = f"{provider}/{model}"

    def count(self, usage: Usage) -> None:
        """What the inference under way has used so far, cumulative."""
        self._current = usage
        self.usage = self._before + usage

    @property
    def inference(self) -> tuple[str, Usage]:
        """The provider of the inference under way, and what it has used."""
        return self._model.partition("/")[0], self._current

    @property
    def cost(self) -> float | None:
        """What the run costs so far; None if nothing is counted, or one of its models' price is
        not known."""
        total = self._total()
        return None if total is None or self.usage == NO_USAGE else round(total, _DIGITS)

    def _total(self) -> float | None:
        if self._current == NO_USAGE or self._paid is None:
            return self._paid
        price = self.prices.get(self._model)
        return None if price is None else self._paid + price.cost(self._current)
