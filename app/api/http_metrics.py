"""Counters of what the API answered, in one registry per application."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import Scope


class HttpMetrics:
    """Requests by route and status, and how long they took."""

    def __init__(self) -> None:
        """Make an empty registry: a second application in the same process counts for itself."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "proctor_http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "proctor_http_request_seconds",
            "Time to the end of the answer.",
            ["route"],
            buckets=(0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0),
            registry=self.registry,
        )

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one request under its route's template, never its path: paths are without end."""
        route = getattr(scope.get("route"), "path_format", "unmatched")
        method = scope["method"] if scope["method"] in {"GET", "HEAD", "PUT", "POST", "DELETE"} else "OTHER"
        self.requests.labels(method=method, route=route, status=str(status)).inc()
        self.seconds.labels(route=route).observe(seconds)
