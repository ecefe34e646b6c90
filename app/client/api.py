"""The client: one method per thing a user does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

from app.api.problem_types import problem_type
from app.client.answers import document_of, page_of, raise_for_problem
from app.client.errors import DownloadCorruptError, ProblemError, UnreachableError
from app.client.events import TERMINAL_STATUSES, Event, event_lines, parse_events
from app.client.opening import open_http
from app.client.retry import (
    PATIENCE,
    RetryPolicy,
    delay_s,
    retry_after_s,
    send_with_retries,
    unreachable,
)
from app.client.transfer import (
    Download,
    OnBytes,
    fetch_once,
    ignore_bytes,
    keep_if_intact,
    send_once,
)

#: A JSON object as the server sent it.
Document = dict[str, Any]


@dataclass
class ProctorClient:
    """A connection to one server with one key.

    Use it as a context manager; it is not safe for several threads.
    """

    url: str
    key: str
    transport: httpx.BaseTransport | None = None
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    """For everything but events once the first have come."""
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        """Open the connection pool; nothing is sent yet.

        Raises:
            UnusableError: If address, key or environment do not allow it.
        """
        self._http = open_http(self.url, self.key, self.transport)

    def __enter__(self) -> Self:
        """Give the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection pool."""
        self._http.close()

    # -- uploads ------------------------------------------------------------------------------------------

    def upload_teacher(
        self, path: Path, options: Mapping[str, str], on_bytes: OnBytes = ignore_bytes
    ) -> Document:
        """Upload a checkpoint and wait until it is inspected.

        Args:
            path: The file.
            options: Query parameters such as ``architecture`` or ``mean``.
            on_bytes: Told of bytes as they are sent.

        Raises:
            ProblemError: If the file is refused; ``code`` and ``hint`` come from the reader.
            UnsendableError: If it is no plain file, or changes while it is sent.
        """
        return self._upload(f"/v1/teachers/{quote(path.name, safe='')}", path, options, on_bytes)

    def upload_dataset(self, path: Path, role: str, on_bytes: OnBytes = ignore_bytes) -> Document:
        """Upload an archive or image as ``clean_labelled``, ``clean_unlabelled`` or ``surrogate``."""
        return self._upload(f"/v1/datasets/{quote(path.name, safe='')}", path, {"role": role}, on_bytes)

    def teacher(self, teacher_id: str) -> Document:
        """Get an uploaded teacher."""
        return document_of(self._send("GET", f"/v1/teachers/{quote(teacher_id, safe='')}"), "id", "status")

    def dataset(self, dataset_id: str) -> Document:
        """Get an uploaded dataset."""
        return document_of(self._send("GET", f"/v1/datasets/{quote(dataset_id, safe='')}"), "id", "status")

    def _upload(self, url: str, path: Path, params: Mapping[str, str], on_bytes: OnBytes) -> Document:
        response = send_with_retries(
            lambda: send_once(self._http, url, path, params, on_bytes), policy=self.policy, sleep=self.sleep
        )
        raise_for_problem(response)
        return self._until_inspected(url.rpartition("/")[0], response)

    def _until_inspected(self, url: str, response: httpx.Response) -> Document:
        document = document_of(response, "id", "status")
        while document["status"] == "inspecting":
            self.sleep(min(retry_after_s(response) or 1.0, 10.0))
            # Not what Location says: a proxy may write another host there, and the key would go to it.
            response = self._send("GET", f"{url}/{quote(str(document['id']), safe='')}")
            document = document_of(response, "id", "status")
        if document["status"] == "rejected":
            error = dict(document.get("error") or {})
            raise ProblemError(problem_type(str(error.get("code"))).status, error)
        return document

    # -- jobs ---------------------------------------------------------------------------------------------

    def submit(self, request: Mapping[str, Any]) -> Document:
        """Create a job; repeated sends after a lost answer make one job, not two."""
        key = {"Idempotency-Key": uuid4().hex}
        return document_of(self._send("POST", "/v1/jobs", json=dict(request), headers=key), "id")

    def job(self, job_id: str) -> Document:
        """Get a job as it is now."""
        return self._job(job_id, self.policy)

    def _job(self, job_id: str, policy: RetryPolicy) -> Document:
        response = self._send("GET", f"/v1/jobs/{quote(job_id, safe='')}", policy=policy)
        return document_of(response, "id", "status")

    def jobs(self, *, limit: int, **filters: str) -> Iterator[Document]:
        """Yield jobs, newest first, ``limit`` at most; ``filters`` are ``status``, ``kind`` and ``label``."""
        params: dict[str, str] = {**filters}
        while limit > 0:
            response = self._send("GET", "/v1/jobs", params={**params, "limit": str(min(limit, 100))})
            page = page_of(response, "id")
            for job in page["data"][:limit]:
                yield job
                limit -= 1
            if not page.get("has_more"):
                return
            params["after"] = page["next_after"]

    def cancel(self, job_id: str) -> Document:
        """Ask a job to stop; a finished job stays as it is."""
        return document_of(self._send("POST", f"/v1/jobs/{quote(job_id, safe='')}/cancel"), "id", "status")

    def retry(self, job_id: str) -> Document:
        """Make a new job from one that failed or was canceled; one, as of ``submit``."""
        key = {"Idempotency-Key": uuid4().hex}
        response = self._send("POST", f"/v1/jobs/{quote(job_id, safe='')}/retry", headers=key)
        return document_of(response, "id", "status")

    def events(self, job_id: str, after: int = 0) -> Iterator[Event]:
        """Yield a job's events until it is over; once a stream was open, breaks of minutes are waited out.

        Each event comes once: after a break the stream goes on behind the last one seen (``Last-Event-ID``).

        Raises:
            ProblemError: If the server refuses.
            UnreachableError: If it stays away for all attempts of the policy; of ``PATIENCE`` once a stream
                was open, counted from the last event.
        """
        response = self._open_events(job_id, after, self.policy)
        try:
            yield from self._follow(job_id, after, response)
        except UnreachableError as error:
            hint = f"The job goes on: `proctor watch {job_id}` comes back to it once the server answers."
            raise UnreachableError(error.detail, hint=hint) from error

    def _follow(self, job_id: str, after: int, response: httpx.Response) -> Iterator[Event]:
        breaks = 0
        while True:
            try:
                for event in parse_events(event_lines(response.iter_bytes())):
                    if event.seq > after:
                        after, breaks = event.seq, 0
                        yield event
                        if event.is_last:
                            return
                if self._job(job_id, PATIENCE)["status"] in TERMINAL_STATUSES:
                    return
            except httpx.TransportError as error:
                breaks += 1
                if breaks >= PATIENCE.attempts:
                    raise unreachable(error) from error
            finally:
                response.close()
            self.sleep(delay_s(PATIENCE, max(1, breaks), None))
            response = self._open_events(job_id, after, PATIENCE)

    def _open_events(self, job_id: str, after: int, policy: RetryPolicy) -> httpx.Response:
        request = self._http.build_request(
            "GET",
            f"/v1/jobs/{quote(job_id, safe='')}/events",
            headers={"Accept": "text/event-stream", "Last-Event-ID": str(after)},
        )
        response = send_with_retries(
            lambda: self._http.send(request, stream=True), policy=policy, sleep=self.sleep
        )
        if response.status_code >= 300:
            response.read()
            raise_for_problem(response)
        return response

    # -- results ------------------------------------------------------------------------------------------

    def artifacts(self, job_id: str) -> list[Document]:
        """List a finished job's files."""
        url, found = f"/v1/jobs/{quote(job_id, safe='')}/artifacts", []
        params: dict[str, str] = {}
        while True:
            page = page_of(self._send("GET", url, params=params), "id", "name", "size_bytes", "sha256")
            found += page["data"]
            if not page.get("has_more"):
                return found
            params = {"after": page["next_after"]}

    def download(
        self, artifact: Mapping[str, Any], destination: Path, on_bytes: OnBytes = ignore_bytes
    ) -> Path:
        """Fetch an artifact, going on where an earlier attempt broke off, and check its digest.

        Args:
            artifact: From ``artifacts``: ``id`` and ``sha256`` are used.
            destination: Path of the file; its folder exists.
            on_bytes: Told of bytes as they arrive.

        Raises:
            DownloadCorruptError: If the digest is wrong twice in a row.
        """
        url = f"/v1/artifacts/{quote(str(artifact['id']), safe='')}/content"
        download = Download(url, str(artifact["sha256"]), destination)
        on_bytes(download.bytes_at_hand())
        for last in (False, True):
            response = send_with_retries(
                lambda: fetch_once(self._http, download, on_bytes), policy=self.policy, sleep=self.sleep
            )
            if (
                response.status_code != 416
            ):  # 416: the part file is complete, or of something else; the digest tells
                raise_for_problem(response)
            try:
                keep_if_intact(download)
            except DownloadCorruptError:
                if last:
                    raise
            else:
                break
        return destination

    def _send(
        self, method: str, url: str, *, policy: RetryPolicy | None = None, **arguments: Any
    ) -> httpx.Response:
        response = send_with_retries(
            lambda: self._http.request(method, url, **arguments),
            policy=policy or self.policy,
            sleep=self.sleep,
        )
        raise_for_problem(response)
        return response
