import os
import subprocess
import sys
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


@pytest.mark.parametrize("given", [["list"], ["revoke", "key_1"]])
def test_a_mistyped_home_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str]
) -> None:
    """It was, with a database, and an empty table was shown of it."""
    assert run(["keys", *given, "--home", str(tmp_path / "mistyped")]) == 2
    assert f"There is no home of Proctor at {tmp_path}/mistyped" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_first_key_may_be_made_before_anything_is_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(tmp_path / "home")]
    assert run(["keys", "create", "mine", *home]) == 0
    capsys.readouterr()
    assert run(["keys", "list", *home]) == 0
    assert "mine" in capsys.readouterr().out


def test_a_database_elsewhere_needs_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCTOR_DATABASE_URL", f"sqlite:///{tmp_path}/elsewhere.db")
    assert run(["keys", "list", "--home", str(tmp_path / "home")]) == 0


def test_a_name_is_listed_as_it_was_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(tmp_path)]
    names = ["[/b]", "[red]on", ":key:"]
    for name in names:
        assert run(["keys", "create", name, *home]) == 0
    capsys.readouterr()
    assert run(["keys", "list", *home]) == 0
    told = capsys.readouterr().out
    assert [name for name in names if name in told] == names


def test_a_name_that_the_terminal_cannot_show_is_listed_another_way(tmp_path: Path) -> None:
    home = ["--home", str(tmp_path)]
    assert run(["keys", "create", "\u043a\u043b\u044e\u0447", *home]) == 0
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "keys", "list", *home],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u043a\u043b\u044e\u0447" in done.stdout
