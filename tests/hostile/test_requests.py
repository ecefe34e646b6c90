"""Broken HTTP against a running service: each request has its answer, and the next one is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.running_service import Running, serving
from tests.hostile.requests import REQUESTS, Request, answers


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("requests") / "home") as started:
        yield started


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
def test_is_answered_as_it_should_be(request_: Request, service: Running) -> None:
    parts = urlsplit(service.url)
    assert parts.hostname is not None
    assert parts.port is not None
    assert answers((parts.hostname, parts.port), request_, service.key) <= request_.statuses
    assert httpx.get(f"{service.url}/livez").status_code == 200


def test_no_log_holds_a_traceback(service: Running) -> None:
    logs = Path(service.home, "logs").iterdir()
    assert [path.name for path in logs if "Traceback" in path.read_text()] == []
