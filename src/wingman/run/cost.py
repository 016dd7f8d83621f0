"""Cost: what a run has used, inference by inference, and what that costs."""

from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias

import attrs
import msgspec

from wingman.conversation import NO_USAGE, Usage

__all__ = ["NOTHING_SPENT", "Meter", "Price", "Prices", "Spent"]

_NotNegative: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]

_MILLION: Final = 1_000_000

# A millionth of a price for a million tokens; more digits are the arithmetic's, not the price's.
_DIGITS: Final = 10


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a million tokens of a model cost, in whatever currency all prices are.

    `cache_read` and `cache_write` are those of input tokens read from and written to the
    provider's cache; where they are None, these cost what other `input` does.
    """

    input: _NotNegative
    output: _NotNegative
    cache_read: _NotNegative | None = None
    cache_write: _NotNegative | None = None

    def cost(self, usage: Usage) -> float:
        """What this usage costs."""
        read, written = usage.cache_read_tokens, usage.cache_write_tokens
        plain = max(0, usage.input_tokens - read - written)
        cost = (
            plain * self.input
            + read * (self.input if self.cache_read is None else self.cache_read)
            + written * (self.input if self.cache_write is None else self.cache_write)
            + usage.output_tokens * self.output
        )
        return cost / _MILLION


Prices: TypeAlias = Mapping[str, Price]
"""By provider and model, as `anthropic/claude-sonnet-4-5`."""


@attrs.frozen
class Spent:
    """What a run has used so far, and what that costs; None where a price is not known."""

    usage: Usage = NO_USAGE
    cost: float | None = None


NOTHING_SPENT: Final = Spent()


@attrs.define(eq=False)
class Meter:
    """Adds up the usage of a run's inferences, also of one that is under way or has failed."""

    prices: Prices
    usage: Usage = NO_USAGE
    _model: str = ""
    _before: Usage = NO_USAGE
    _current: Usage = NO_USAGE
    _paid: float | None = 0.0  # for all inferences but the current one; None: that is not known

    def resume(self, usage: Usage, cost: float | None) -> None:
        """The run has used so much before, in an earlier process."""
        self.usage, self._paid = usage, cost

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
    def inference(self) -> tuple[str, str, Usage]:
        """The provider and the model of the inference under way, and what it has used."""
        provider, _, model = self._model.partition("/")
        return provider, model, self._current

    @property
    def cost(self) -> float | None:
        """What the run costs so far; None if nothing is counted, or one of its models' price is
        not known."""
        total = self._total()
        return None if total is None or self.usage == NO_USAGE else round(total, _DIGITS)

    @property
    def spent(self) -> Spent:
        """What the run has used so far, and what that costs."""
        return Spent(self.usage, self.cost)

    def _total(self) -> float | None:
        if self._current == NO_USAGE or self._paid is None:
            return self._paid
        price = self.prices.get(self._model)
        return None if price is None else self._paid + price.cost(self._current)
