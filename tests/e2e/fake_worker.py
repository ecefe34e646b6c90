"""A real Celery worker whose jobs compute nothing: ``python fake_worker.py``; see ``fake_child.py``."""

from __future__ import annotations

import sys
from pathlib import Path

from app.core.settings import Settings
from worker.__main__ import worker_arguments
from worker.celery_app import create_worker

if __name__ == "__main__":
    stages = (sys.executable, "-I", str(Path(__file__).with_name("fake_child.py")))
    create_worker(Settings(), child=stages).worker_main(worker_arguments("cpu", "fake", "INFO"))
