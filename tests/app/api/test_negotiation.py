from __future__ import annotations

import pytest

from app.api.negotiation import choose
from app.core.errors import ServiceError

OFFERED = ["text/html", "application/json"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "text/html"),
        ("*/*", "text/html"),
        ("application/json", "application/json"),
        ("APPLICATION/JSON; charset=utf-8", "application/json"),
        ("application/*", "application/json"),
        ("text/html;q=0.5, application/json;q=0.9", "application/json"),
        ("text/html;q=0, */*", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("text/html;q=x, application/json;q=0.1", "application/json"),
    ],
)
def test_the_best_liked_representation_is_chosen(accept, expected):
    assert choose(accept, OFFERED) == expected


@pytest.mark.parametrize("accept", ["image/png", "text/html;q=0,application/json;q=0", "html", ","])
def test_nothing_acceptable(accept):
    with pytest.raises(ServiceError) as raised:
        choose(accept, OFFERED)
    assert raised.value.code == "not_acceptable"
