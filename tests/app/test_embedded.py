from pathlib import Path

import pytest

from app import embedded
from app.core.settings import Settings
from app.embedded import background_children
from app.infra.queue import QUEUES


def test_every_queue_has_a_worker(tmp_path: Path) -> None:
    """A job for a GPU once waited for ever, and its rings filled the broker's folder."""
    arguments = [
        argument for spec in background_children(Settings(home=tmp_path)) for argument in spec.command
    ]
    served = [argument.partition("=")[2] for argument in arguments if argument.startswith("--queues=")]
    assert sorted(",".join(served).split(",")) == sorted(QUEUES)


@pytest.mark.parametrize(
    ("said", "threads"), [("1", 1), ("64", 4), ("", 4), ("0", 4), ("2,1", 4), ("many", 4)]
)
def test_a_job_takes_all_cores_unless_the_user_said_fewer(
    said: str, threads: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The end-to-end tests' service once took both cores beside another test run, and CI timed out."""
    monkeypatch.setattr(embedded, "usable_cores", lambda: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    (computing,) = [
        spec for spec in background_children(Settings(home=tmp_path)) if spec.name == "compute-worker"
    ]
    assert f"--threads={threads}" in computing.command
