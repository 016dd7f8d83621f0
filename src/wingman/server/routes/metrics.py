"""/metrics: what the runtime counts, in the Prometheus text format.

The format is https://prometheus.io/docs/instrumenting/exposition_formats/; names follow its
conventions: a prefix, a base unit, `_total` for what only grows.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from quart import Response

from wingman.runtime import Runtime
from wingman.server.handlers import Handlers

__all__ = ["metrics_handlers"]

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _RuntimeCollector(Collector):
    """Reads a runtime's counts when they are asked for; nothing is counted twice."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        yield from self._counters()
        yield from self._gauges()

    def _counters(self) -> Iterator[Metric]:
        metrics = self._runtime.metrics
        runs = CounterMetricFamily("wingman_runs", "Runs that have ended.", labels=["status"])
        for status, count in metrics.runs.items():
            runs.add_metric([status], count)
        yield runs
        steps = CounterMetricFamily("wingman_steps", "Inferences.", labels=["provider"])
        for provider, count in metrics.steps.items():
            steps.add_metric([provider], count)
        yield steps
        tokens = CounterMetricFamily("wingman_tokens", "Tokens used.", labels=["provider", "kind"])
        for (provider, kind), count in metrics.tokens.items():
            tokens.add_metric([provider, kind], count)
        yield tokens
        calls = CounterMetricFamily("wingman_tool_calls", "Tool calls.", labels=["outcome"])
        for is_error, count in metrics.tool_calls.items():
            calls.add_metric(["error" if is_error else "ok"], count)
        yield calls
        retries = CounterMetricFamily(
            "wingman_provider_retries", "Requests sent to a provider again.", labels=["provider"]
        )
        for provider, count in metrics.retries.items():
            retries.add_metric([provider], count)
        yield retries

    def _gauges(self) -> Iterator[Metric]:
        status = self._runtime.status()
        actors = status.actors
        yield GaugeMetricFamily("wingman_sessions_live", "Sessions in memory.", len(actors))
        yield GaugeMetricFamily("wingman_runs_in_flight", "Runs in flight.", status.in_flight)
        yield GaugeMetricFamily(
            "wingman_runs_waiting", "Runs that wait for their turn.", status.waiting
        )
        yield GaugeMetricFamily(
            "wingman_runs_asking", "Runs that wait for people's answers.", status.asking
        )
        yield GaugeMetricFamily(
            "wingman_actor_restarts",
            "Restarts of the actors that live now.",
            sum(info.restarts for info in actors),
        )


def metrics_handlers(runtime: Runtime) -> Handlers:
    """The metrics of one runtime, in a registry of their own."""
    handlers = Handlers()
    registry = CollectorRegistry()
    registry.register(_RuntimeCollector(runtime))

    @handlers.add
    async def metrics() -> Response:
        return Response(generate_latest(registry), content_type=_CONTENT_TYPE)

    return handlers
