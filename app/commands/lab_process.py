"""Handing a request to a process of the lab, which has torch; the command line does without."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from app.commands.outcome import ExitCode


def run_lab(module: str, request: Mapping[str, Any]) -> int:
    """Run ``python -m module REQUEST`` and return its exit code; signals reach it, and it writes its state.

    Args:
        module: Takes one JSON object as its only argument.
        request: That object.
    """
    process = subprocess.Popen([sys.executable, "-P", "-m", module, json.dumps(request)])
    former = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        while True:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                process.terminate()  # a terminal has told it too; whoever signaled this process alone has not
                continue
            return code if code >= 0 else ExitCode.CANCELED
    finally:
        signal.signal(signal.SIGTERM, former)
