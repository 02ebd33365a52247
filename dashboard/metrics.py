"""What the server counts, in Prometheus' words, over all of its workers."""

import os
import platform

from flask import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from dashboard.api_json import installed_version

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
REGISTRY = CollectorRegistry()

REQUEST_SECONDS = Histogram(
    "loupe_request_seconds",
    "Time to answer a request, by the route's template (never by the address that was asked for).",
    ["method", "route", "status"],
    buckets=SECONDS,
    registry=REGISTRY,
)
CALLBACK_SECONDS = Histogram(
    "loupe_callback_seconds",
    "Time to answer a page's callback, by its first output.",
    ["callback"],
    buckets=SECONDS,
    registry=REGISTRY,
)
IN_FLIGHT = Gauge(
    "loupe_requests_in_flight", "Requests that are being answered.", multiprocess_mode="livesum", registry=REGISTRY
)
CACHE_ASKED = Counter(
    "loupe_cache_asked", "Derived results asked of the cache: hit, miss or unreachable.", ["name", "result"],
    registry=REGISTRY,
)  # fmt: skip
BUILD = Gauge(
    "loupe_build_info", "Always 1; the labels say what runs.", ["version", "python"], multiprocess_mode="max",
    registry=REGISTRY,
)  # fmt: skip
BUILD.labels(installed_version(), platform.python_version()).set(1)


def metrics() -> Response:
    """All counts as Prometheus reads them; in a server of several workers, theirs together."""
    registry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
