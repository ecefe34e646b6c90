from pathlib import Path

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
