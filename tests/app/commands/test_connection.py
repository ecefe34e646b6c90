import json
import os
from pathlib import Path

import pytest

from app.commands.connection import connect
from app.commands.outcome import CommandError
from app.core.settings import Settings

SERVED = "http://127.0.0.1:9123"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path)
    settings.key_file.write_text("prk_admin")
    return settings


def serve(settings: Settings) -> None:
    (settings.home / "server.json").write_text(json.dumps({"url": SERVED, "pid": os.getpid()}))


def test_the_homes_key_goes_to_the_server_that_runs_on_the_home(settings: Settings) -> None:
    serve(settings)
    for url in (None, SERVED, f"{SERVED}/"):
        with connect(settings, url, None) as client:
            assert client.key == "prk_admin"


def test_the_homes_key_goes_to_where_the_home_would_be_served(settings: Settings) -> None:
    for url in (None, f"http://{settings.host}:{settings.port}"):
        with connect(settings, url, None) as client:
            assert client.key == "prk_admin"


@pytest.mark.parametrize("url", ["http://proctor.example", "http://127.0.0.1:9999"])
def test_the_homes_key_goes_to_no_other_server(settings: Settings, url: str) -> None:
    serve(settings)
    with pytest.raises(CommandError, match="no API key for http") as caught:
        connect(settings, url, None)
    assert (caught.value.code, "--key" in caught.value.hint) == ("key_missing", True)


def test_a_key_that_is_given_goes_where_it_is_told(settings: Settings) -> None:
    with connect(settings, "http://proctor.example", "prk_theirs") as client:
        assert client.key == "prk_theirs"
