"""Move files: uploads as a stream, downloads that resume and are checked against their SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.client.errors import DownloadCorruptError, UnsendableError
from app.client.retry import will_pass

CHUNK_BYTES = 1 << 20
# After the last byte of an upload the server sends it to its store and waits for the inspection.
_UPLOAD_TIMEOUT = httpx.Timeout(connect=5.0, read=300.0, write=60.0, pool=5.0)

#: Told how many more bytes have moved.
OnBytes = Callable[[int], None]


def ignore_bytes(count: int) -> None:
    """Take no notice of ``count`` moved bytes."""
    del count


def read_chunks(path: Path, on_bytes: OnBytes) -> Iterator[bytes]:
    """Yield a file's bytes in pieces of 1 MiB."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
            on_bytes(len(chunk))


def send_once(
    http: httpx.Client, url: str, path: Path, params: Mapping[str, str], on_bytes: OnBytes
) -> httpx.Response:
    """Send a file as the body of a request, with the size that it has now.

    Args:
        http: Client whose base URL and key are set.
        url: Where to.
        path: The file.
        params: Query parameters.
        on_bytes: Told of bytes as they are sent; of a negative count when they have to be sent again.

    Raises:
        UnsendableError: If it is no plain file, such as a pipe, which has no size and is read but once; or if
            another number of bytes was read than it had.
        httpx.TransportError: When the connection breaks.
    """
    if not path.is_file():
        raise UnsendableError(f"{path} is not a plain file.", hint="Save what it holds to a file first.")
    size_bytes, sent = path.stat().st_size, 0
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}

    def count(count_bytes: int) -> None:
        nonlocal sent
        sent += count_bytes
        on_bytes(count_bytes)

    try:
        content = _of_size(size_bytes, read_chunks(path, count), path)
        response = http.put(url, params=params, headers=headers, content=content, timeout=_UPLOAD_TIMEOUT)
    except httpx.TransportError:
        on_bytes(-sent)
        raise
    if will_pass(response):
        on_bytes(-sent)
    return response


def _of_size(size_bytes: int, chunks: Iterator[bytes], path: Path) -> Iterator[bytes]:
    left = size_bytes
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise UnsendableError(
            f"{path} changed while it was sent.", hint="Send it once nobody writes to it any more."
        )


@dataclass(frozen=True)
class Download:
    """One file to fetch."""

    url: str
    sha256: str
    """Lower-case hexadecimal; the file is kept only if its bytes have this digest."""
    destination: Path

    @property
    def part_path(self) -> Path:
        """Where the bytes lie until they are complete; the digest in the name ties it to this content."""
        return self.destination.with_name(f".{self.destination.name}.{self.sha256[:16]}.part")

    def bytes_at_hand(self) -> int:
        """Count what earlier attempts have already fetched."""
        return self.part_path.stat().st_size if self.part_path.exists() else 0


def fetch_once(http: httpx.Client, download: Download, on_bytes: OnBytes) -> httpx.Response:
    """Ask for what is still missing and append it to the part file.

    Args:
        http: Client whose base URL and key are set.
        download: What to fetch.
        on_bytes: Told of bytes as they arrive; of a negative count when earlier ones have to be thrown away.

    Returns:
        The closed response: 200 or 206 if bytes were written, 416 if the part file already holds them all (or
        too many), or another status with its body read.

    Raises:
        httpx.TransportError: When the connection breaks; what arrived until then stays in the part file.
    """
    part, have = download.part_path, download.bytes_at_hand()
    headers = {"Accept-Encoding": "identity"}  # Range and digest speak of the bytes as stored
    if have:
        headers["Range"] = f"bytes={have}-"
    with http.stream("GET", download.url, headers=headers) as response:
        if response.status_code >= 300:
            response.read()
            return response
        resumed = response.status_code == 206 and _starts_at(response, have)
        if have and not resumed:
            on_bytes(-have)
        with part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
                on_bytes(len(chunk))
            file.flush()
            os.fsync(file.fileno())
    return response


def _starts_at(response: httpx.Response, offset: int) -> bool:
    content_range: str = response.headers.get("Content-Range", "")
    return content_range.startswith(f"bytes {offset}-")


def sha256_of(path: Path) -> str:
    """Compute a file's SHA-256 as lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep_if_intact(download: Download) -> None:
    """Move the part file to its destination if its digest is the promised one, else remove it.

    Raises:
        DownloadCorruptError: If the digests differ; nothing is left behind.
    """
    part = download.part_path
    found = sha256_of(part)
    if found != download.sha256:
        part.unlink()
        raise DownloadCorruptError(
            f"{download.destination.name} arrived with SHA-256 {found[:16]}…, not {download.sha256[:16]}….",
            hint="Fetch it again; if it happens twice, something between here and the server alters files.",
        )
    part.replace(download.destination)
