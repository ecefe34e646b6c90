from pathlib import Path

import pytest

from app.commands.run import settings_in
from app.embedded import child_environment


def test_it_uses_no_server_that_the_shell_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for prefix in ("", "PROCTOR_"):
        monkeypatch.setenv(f"{prefix}DATABASE_URL", "postgresql://user:secret@host/production")
        monkeypatch.setenv(f"{prefix}BROKER_URL", "redis://host:6379/0")
        monkeypatch.setenv(f"{prefix}BLOB_URL", "file:///production/blobs")
    settings = settings_in(tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/proctor.db"
    assert settings.broker_url == "filesystem://localhost"
    assert settings.blob_url == f"file://{tmp_path}/blobs"
    given = child_environment(settings)
    assert given["PROCTOR_DATABASE_URL"] == settings.database_url
    assert given["PROCTOR_BROKER_URL"] == settings.broker_url
    assert given["PROCTOR_BLOB_URL"] == settings.blob_url
