from __future__ import annotations

import sys

import pytest
from pydantic import ValidationError

from app.core.settings import Settings


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "mysql://user:secret@host/proctor"),
        ("DATABASE_URL", "postgresql+asyncpg://user:secret@host/proctor"),
        ("BROKER_URL", "ftp://user:secret@host"),
        ("BROKER_URL", "secret"),
        ("BROKER_URL", "redis://user:secret℀@host"),
        ("BLOB_URL", "ftp://user:secret@host/folder"),
        ("BLOB_URL", "file://secret/folder"),
        ("BLOB_URL", "file:secret"),
        ("BLOB_URL", "file:///folder/secret#1"),
        ("BLOB_URL", "file:///folder/secret?1"),
        ("BLOB_URL", "s3:///secret"),
        ("BLOB_URL", "s3://key:secret@bucket/prefix"),
        ("BLOB_URL", "s3://bucket?key=secret"),
        ("BLOB_URL", "s3://bucket#secret"),
    ],
)
def test_a_url_that_nothing_here_speaks_is_refused_before_the_start(
    name: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(ValidationError) as caught:
        Settings()
    error = caught.value.errors()[0]
    assert error["loc"] == (f"PROCTOR_{name}",)
    assert "must be" in error["msg"]
    assert "secret" not in error["msg"]
    assert "secret" not in str(caught.value), "a worker that starts by itself prints it"


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "postgresql+psycopg://user:password@host/proctor"),
        ("DATABASE_URL", "postgres://host/proctor"),
        ("BROKER_URL", "amqp://user:password@host//"),
        ("BROKER_URL", "sentinel://one:26379;sentinel://two:26379"),
        ("BLOB_URL", "s3://bucket"),
        ("BLOB_URL", "file:///a%20folder"),
        ("BLOB_URL", "file:///team%231"),
    ],
)
def test_urls_are_handed_on_as_they_are(name: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, url)
    assert getattr(Settings(), name.lower()) == url


def test_a_bucket_is_refused_before_the_start_where_nothing_reaches_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The API was once started again and again without the extra."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setenv("BLOB_URL", "s3://bucket")
    with pytest.raises(ValidationError, match=r"proctor\[s3\]"):
        Settings()
    monkeypatch.setenv("BLOB_URL", "file:///folder")
    assert Settings().blob_url == "file:///folder"
