"""Model: how the models of a process are reached, and what is known of them."""

import attrs

from wingman.metrics import Metrics
from wingman.providers import Shelf, Transport, WindowOf

__all__ = ["Model"]


@attrs.frozen
class Model:
    """How models are reached, what is known of their windows, and who counts the inferences.

    `shelf` bounds what the adapters keep of all sessions.
    """

    transport: Transport
    window_of: WindowOf
    metrics: Metrics
    shelf: Shelf = attrs.field(factory=Shelf)
