"""Talk to a running Proctor over HTTP: retries, resumable streams, verified downloads, live progress."""

from app.client.api import ProctorClient
from app.client.errors import ClientError, DownloadCorruptError, ProblemError, UnreachableError

__all__ = ["ClientError", "DownloadCorruptError", "ProblemError", "ProctorClient", "UnreachableError"]
