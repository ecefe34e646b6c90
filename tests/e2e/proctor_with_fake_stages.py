"""The command line, but for the worker that computes: ``proctor_with_fake_stages.py run|serve ...``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from app import cli, embedded, launcher
from app.commands import run
from app.core.settings import Settings
from app.processes import ChildSpec


def children(settings: Settings) -> list[ChildSpec]:
    fake = [sys.executable, str(Path(__file__).with_name("fake_worker.py"))]
    specs = embedded.background_children(settings)
    return [replace(spec, command=fake) if spec.name == "compute-worker" else spec for spec in specs]


if __name__ == "__main__":
    run.background_children = launcher.background_children = children
    cli.main()
