"""Prices: what models' tokens cost, where it is known."""

from collections.abc import Mapping
from typing import Annotated, TypeAlias

import msgspec

from wingman.conversation import Usage

__all__ = ["Price", "Prices"]

_NotNegative: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]

_MILLION = 1_000_000


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
