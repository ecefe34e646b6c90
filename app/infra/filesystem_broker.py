"""Kombu's ``filesystem://`` transport, with messages that appear whole.

The original creates a message's file under its final name and then writes to it; a consumer that polls in
between moves away an empty file and dies of its JSON. Here the file gets its name when it is complete, and
only its owner may read it.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
import uuid
from typing import Any

from kombu.transport import filesystem

logger = logging.getLogger(__name__)


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

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """Take the next message that can be read; upkeep rings again for the job of one that cannot.

        A power cut may leave a file whose name is on the disk and whose bytes are not. The worker died of
        each. It is among the processed ones by now, so none is met twice.
        """
        del timeout
        while True:
            try:
                return super()._get(queue)  # type: ignore[no-untyped-call]
            except ValueError as error:
                logger.warning("a message of the queue %s cannot be read: %s", queue, error)


class Transport(filesystem.Transport):
    """The transport Celery loads by name."""

    Channel = Channel
