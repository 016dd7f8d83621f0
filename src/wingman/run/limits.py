"""Limits: every bound on a run and on the process, each with its default, in one place."""

import attrs

__all__ = ["Limits"]

_at_least_one = attrs.validators.ge(1)
_positive = attrs.validators.gt(0.0)


@attrs.frozen(kw_only=True)
class Limits:
    """What a run may use, and how much there may be at once.

    Of a run: `steps` (inferences; an agent or a message may say otherwise), `seconds` (wall clock,
    without the time in the queue), `tokens` (input and output; looked at after each step; None: no
    limit). Of a tool call: `tool_seconds`, `tool_output` (characters that the model is shown).
    At once: `parallel_tools` (of a step), `queued` (messages that wait in one session), `runs` (in
    the process; sessions take turns), `waiting` (runs in the process that wait for theirs),
    `message_bytes` (of all messages that wait or run in the process, with their images and agents;
    one alone may have more), `event_bytes` (of the events that all sessions hold for their readers,
    and of what these are being sent; the steps under way are held whatever they have).
    """

    steps: int = attrs.field(default=50, validator=_at_least_one)
    seconds: float = attrs.field(default=3600.0, validator=_positive)
    tokens: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(_at_least_one)
    )
    tool_seconds: float = attrs.field(default=660.0, validator=_positive)
    tool_output: int = attrs.field(default=30_000, validator=attrs.validators.ge(100))
    parallel_tools: int = attrs.field(default=16, validator=_at_least_one)
    queued: int = attrs.field(default=100, validator=_at_least_one)
    runs: int = attrs.field(default=256, validator=_at_least_one)
    waiting: int = attrs.field(default=10_000, validator=_at_least_one)
    message_bytes: int = attrs.field(default=256 * 1024 * 1024, validator=_at_least_one)
    event_bytes: int = attrs.field(default=64 * 1024 * 1024, validator=_at_least_one)
