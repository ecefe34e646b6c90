from __future__ import annotations

import pytest

from app.api.waiting import preferred_wait_s


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 0),
        ("wait=5", 5),
        ("respond-async, wait=10", 10),
        ('wait="7"; foo=1', 7),
        ("Wait = 3", 3),
        ("wait=999999", 60),
        ("wait=-1", 0),
        ("await=5", 0),
        ("wait=5s", 0),
        ("wait", 0),
    ],
)
def test_the_seconds_of_a_prefer_header(prefer, seconds):
    assert preferred_wait_s(prefer) == seconds
