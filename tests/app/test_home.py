import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.home import HomeBusyError, announced_server, read_key, read_server, sole_owner, write_private


def test_a_server_is_found_while_it_runs(tmp_path: Path) -> None:
    with announced_server(tmp_path, "http://127.0.0.1:1") as server:
        assert read_server(tmp_path) == server
    assert read_server(tmp_path) is None


def test_a_note_left_by_a_dead_server_is_not_believed(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "server.json").write_text(f'{{"url": "http://127.0.0.1:1", "pid": {dead.pid}}}')
    assert read_server(tmp_path) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"url": "x", "pid": "y"}'])
def test_an_unreadable_note_is_no_server(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_text(text)
    assert read_server(tmp_path) is None


def test_a_home_has_one_owner(tmp_path: Path) -> None:
    with sole_owner(tmp_path), announced_server(tmp_path, "http://127.0.0.1:1"):
        expected = f"http://127.0.0.1:1 .process {os.getpid()}."
        with pytest.raises(HomeBusyError, match=expected), sole_owner(tmp_path):
            pytest.fail("two owners")
    with sole_owner(tmp_path):
        assert read_server(tmp_path) is None


def test_private_files_are_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "api_key"
    write_private(path, "prk_secret\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key(path) == "prk_secret"
    assert list(tmp_path.iterdir()) == [path]


def test_no_key_file_is_no_key(tmp_path: Path) -> None:
    assert read_key(tmp_path / "api_key") is None
