from pathlib import Path

import pytest

from app.cli import run


@pytest.mark.parametrize(
    "given",
    [["k", "--ttl-days", days] for days in ("nan", "1e300", "1e7", "inf", "0")]
    + [[""], ["\udcff"], ["k", "--tenant", ""]],
)
def test_a_key_that_would_not_be_what_was_asked_is_not_made(tmp_path: Path, given: list[str]) -> None:
    assert run(["keys", "create", *given, "--home", str(tmp_path)]) == 4
    assert not list(tmp_path.iterdir())
