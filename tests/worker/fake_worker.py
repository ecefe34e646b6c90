"""A real Celery worker, but for the stages: ``python fake_worker.py QUEUES NAME``."""

from __future__ import annotations

import sys
from pathlib import Path

from app.core.settings import Settings
from worker.__main__ import worker_arguments
from worker.celery_app import create_worker

CHILD = (sys.executable, "-I", str(Path(__file__).with_name("fake_child.py")))

if __name__ == "__main__":
    app = create_worker(Settings(), child=CHILD)
    app.worker_main(worker_arguments(sys.argv[1], sys.argv[2], "INFO"))
