"""How much an image archive may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.checkpoints.limits import MEBIBYTE
from models.data.codes import data_rejection

Role = Literal["clean_labelled", "clean_unlabelled", "surrogate"]


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Bounds of one archive or image. CIFAR-10's 50,000 training images have 150 MB as pixels."""

    file_bytes: int = 256 * MEBIBYTE
    """CIFAR's archives have 170 MB; PROCTOR_MAX_UPLOAD_BYTES is as much by default."""
    members: int = 60_000
    """Images."""
    member_bytes: int = 2 * MEBIBYTE
    """Of one image of a set, compressed and decompressed."""
    side: int = 1024
    """Longest side of one image of a set, in pixels."""
    source_bytes: int = 20 * MEBIBYTE
    """Of one surrogate source: a photograph to cut patches from."""
    source_side: int = 4096
    """Longest side of one surrogate source, in pixels."""
    decoded_bytes: int = 300 * MEBIBYTE
    """Sum of all pixels; also of everything in a tar, where CIFAR's 60,000 images have 186 MB."""
    ratio: int = 50
    """Decompressed over compressed size of one member, or of a whole gzip file."""
    tar_members: int = 64
    """CIFAR-10's archive has 9."""
    opcodes: int = 400_000
    """Pickle instructions of one batch: CIFAR-100's largest has 200,000."""
    memo_entries: int = 200_000
    """Values a batch may remember: 50,000 in the same."""
    shortest_side: int = 8
    """Of any image, in pixels."""
    classes: int = 1000
    sizes: int = 10_000
    """Different image sizes in one archive."""
    cpu_s: int = 120
    """Processor time of the parser process: 50,000 CIFAR images take about 10 s."""
    wall_s: int = 180
    """Wall time of the parser process."""
    open_files: int = 64
    """Descriptors of the parser process, which needs about five."""
    memory_bytes: int = 1024 * MEBIBYTE
    """Memory of the parser process beyond its interpreter and the file."""

    def for_role(self, role: Role) -> tuple[int, int]:
        """Most bytes and longest side of one image."""
        if role == "surrogate":
            return self.source_bytes, self.source_side
        return self.member_bytes, self.side


def require_within(value: int, limit: int, what: str) -> None:
    """Refuse an archive whose ``what`` is more than ``limit``.

    Raises:
        DataRejected: ``data_limit_exceeded``.
    """
    if value > limit:
        raise data_rejection("data_limit_exceeded", f"{what} is {value:,}; at most {limit:,} are accepted.")
