"""What the client raises.

::

    ClientError               anything that can go wrong between here and the server
    ├── ProblemError          the server answered with an error (RFC 9457)
    ├── UnusableError         address, key or environment allow no connection
    ├── UnreachableError      no server answered, however often we asked
    ├── UnsendableError       the file to upload is no plain one, or changes while it is sent
    ├── NotProctorError       something answered that is no Proctor server
    └── DownloadCorruptError  the bytes that arrived are not the bytes that were promised
"""

from __future__ import annotations

from typing import Any

import httpx


class ClientError(Exception):
    """Anything that can go wrong between here and the server."""

    code = "client_error"

    def __init__(self, detail: str, *, hint: str = "") -> None:
        """Store one sentence on what happened and one on what to do."""
        super().__init__(detail)
        self.detail = detail
        self.hint = hint


class UnusableError(ClientError):
    """Address, key or environment allow no connection."""

    def __init__(self, code: str, detail: str, hint: str) -> None:
        """Store which of them as a stable name, what is wrong, and what to do."""
        super().__init__(detail, hint=hint)
        self.code = code


class UnreachableError(ClientError):
    """No server answered, however often we asked."""

    code = "unreachable"


class UnsendableError(ClientError):
    """The file to upload is no plain one, or changes while it is sent."""

    code = "file_unsendable"


class NotProctorError(ClientError):
    """Something answered that is no Proctor server."""

    code = "not_proctor"


class DownloadCorruptError(ClientError):
    """The bytes that arrived are not the bytes that were promised."""

    code = "download_corrupt"


class ProblemError(ClientError):
    """The server answered with an error."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        """Keep the problem document of a refused request.

        Args:
            status: HTTP status.
            document: RFC 9457 members; ``code``, ``hint`` and ``errors`` are Proctor's own.
        """
        detail = str(document.get("detail") or document.get("title") or f"The server answered {status}.")
        super().__init__(detail, hint=str(document.get("hint") or ""))
        self.status = status
        self.code = str(document.get("code") or f"http_{status}")
        self.document = document

    @classmethod
    def of(cls, response: httpx.Response) -> ProblemError:
        """Make a problem of a response whose body has been read, whatever its content type."""
        try:
            document = response.json()
        except ValueError:
            document = {}
        if not isinstance(document, dict):
            document = {}
        return cls(response.status_code, document)
