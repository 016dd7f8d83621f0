"""Metrics: what the process counts of its own work. Numbers only; how they are shown is another's.

Labels are bounded: statuses, and the providers that this process was told of.
"""

from collections import Counter

import attrs

from wingman.conversation import Usage

__all__ = ["Metrics"]


@attrs.define(eq=False)
class Metrics:
    """Counts since the process began; none ever goes down.

    `runs` by the status they ended with, `steps` and `tokens` by provider, tokens also by kind
    ("input", "output", "cache_read", "cache_write", "reasoning"; the last three are parts of the
    first two), `tool_calls` by whether they gave an error, `retries` by provider.
    """

    runs: Counter[str] = attrs.field(factory=Counter)
    steps: Counter[str] = attrs.field(factory=Counter)
    tokens: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    tool_calls: Counter[bool] = attrs.field(factory=Counter)
    retries: Counter[str] = attrs.field(factory=Counter)

    def run_ended(self, status: str) -> None:
        """A run is over."""
        self.runs[status] += 1

    def step_ended(self, provider: str, usage: Usage) -> None:
        """An inference is over, or was cut; `usage` is its own."""
        self.steps[provider] += 1
        for kind, count in (
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cache_read", usage.cache_read_tokens),
            ("cache_write", usage.cache_write_tokens),
            ("reasoning", usage.reasoning_tokens),
        ):
            if count:
                self.tokens[provider, kind] += count

    def tool_call_ended(self, is_error: bool) -> None:
        """A tool call has its result."""
        self.tool_calls[is_error] += 1

    def retried(self, provider: str) -> None:
        """A provider is asked again, after it had failed before its first byte."""
        self.retries[provider] += 1
