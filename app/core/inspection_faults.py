"""How an inspection fails when its file is not at fault, and what the file's sender can do then.

What a file provokes, it provokes in the reader: a process of its own, whose limits on time, memory and files
are reached before those of the job's process. That is ``parser_limit`` or ``parser_failed``, which refuse the
file. The job's process itself reads nothing of a file but the reader's short answer, so that what becomes of
it says nothing about the file. ``disk_limit`` is not here: what grows in an inspection's folder is the file.
"""

from __future__ import annotations

from types import MappingProxyType

_AGAIN = "Upload the file again; if that fails, too, ask the operator: the worker's log says more."
_MEMORY = "Upload the file again when the service is less busy; its operator can give the worker more memory."
_TIME = "Upload the file again when the service is less busy, or ask its operator for more time."
_INSTALL = "Its operator has to install Proctor on the workers anew. Then upload the file again."
_FREE = "Delete teachers or datasets, which frees space within three hours; then upload the file again."
_ROOM = "Its operator has to make room on the disk. Then upload the file again."

#: Each code with the hint that an upload gets in place of the job's, which speaks of retries and recipes.
INSPECTION_FAULTS = MappingProxyType(
    {
        "child_crashed": _AGAIN,
        "child_killed": _MEMORY,
        "child_protocol": _AGAIN,
        "file_limit": _AGAIN,
        "host_disk_full": _ROOM,
        "infrastructure": _AGAIN,
        "internal_error": _AGAIN,
        "out_of_memory": _MEMORY,
        "output_invalid": _AGAIN,
        "output_limit": _AGAIN,
        "program_missing": _INSTALL,
        "sandbox_violation": _AGAIN,
        "storage_full": _FREE,
        "thread_limit": _AGAIN,
        "time_limit": _TIME,
    }
)
