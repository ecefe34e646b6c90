"""Kombu's ``filesystem://`` transport, with messages that appear whole.

The original creates a message's file under its final name and then writes to it; a consumer that polls in
between moves away an empty file and dies of its JSON. Here the file gets its name when it is complete, and
only its owner may read it.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import uuid
from typing import Any

from kombu.transport import filesystem


class Channel(filesystem.Channel):
    """A channel whose messages appear whole."""

    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override]
        """Write under a name that no consumer looks for, then rename."""
        del kwargs
        folder = self.data_folder_out
        descriptor, writing = tempfile.mkstemp(prefix="writing-", dir=folder)
        with os.fdopen(descriptor, "w") as file:
            json.dump(payload, file)
        os.replace(writing, f"{folder}/{time.time_ns()}_{uuid.uuid4()}.{queue}.msg")  # noqa: PTH105


class Transport(filesystem.Transport):
    """The transport Celery loads by name."""

    Channel = Channel
