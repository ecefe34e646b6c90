"""The three URLs of a deployment, checked before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from urllib.parse import urlsplit

_DATABASES = ("sqlite", "postgresql", "postgresql+psycopg", "postgres")
_BROKERS = ("filesystem", "redis", "rediss", "sentinel", "amqp", "amqps", "pyamqp")
_BLOBS = ("file", "s3")


def checked_database_url(url: str) -> str:
    """Return a database's URL as it is.

    Raises:
        ValueError: It names a kind of database that Proctor was not written for.
    """
    return _of_scheme(url, _DATABASES, "sqlite:///absolute/file or postgresql://user:password@host/name")


def checked_broker_url(url: str) -> str:
    """Return a broker's URL as it is.

    Raises:
        ValueError: It names a kind of broker that Proctor was not written for.
    """
    return _of_scheme(
        url, _BROKERS, "filesystem://localhost, redis://host:6379/0 or amqp://user:password@host"
    )


def checked_blob_url(url: str) -> str:
    """Return a blob store's URL as it is.

    Raises:
        ValueError: It names no folder and no bucket, or a bucket while what reaches one is not installed.
    """
    expected = "file:///absolute/folder or s3://bucket/prefix"
    _of_scheme(url, _BLOBS, expected)
    parts = urlsplit(url)
    if parts.scheme == "file" and (
        parts.netloc or parts.query or parts.fragment or not parts.path.startswith("/")
    ):
        msg = f"must be {expected}, with %3F for ? and %23 for #"
        raise ValueError(msg)
    if parts.scheme == "s3" and (not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment):
        msg = "must be s3://bucket/prefix; credentials belong in AWS_ACCESS_KEY_ID and its like"
        raise ValueError(msg)
    if parts.scheme == "s3" and find_spec("boto3") is None:
        msg = "names a bucket, for which boto3 is missing: pip install proctor[s3]"
        raise ValueError(msg)
    return url


def _of_scheme(url: str, known: Sequence[str], expected: str) -> str:
    # Nothing of the URL is repeated, by us or by what reads it: it may hold a password.
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in known:
        msg = f"must be {expected}"
        raise ValueError(msg)
    return url
