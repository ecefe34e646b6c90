"""Who may load what, checked in fresh interpreters, where also indirect and late imports show."""

import subprocess
import sys

HEAVY = ("torch", "torchvision", "numpy", "matplotlib", "sklearn", "PIL")


def loaded_after(statement: str, names: tuple[str, ...]) -> list[str]:
    code = f"{statement}; import sys; print(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_service_loads_nothing_heavy() -> None:
    modules = "app.main, app.cli, app.launcher, app.diagnosis, app.commands.local"
    assert loaded_after(f"import {modules}", HEAVY) == []


def test_the_worker_loads_no_torch() -> None:
    assert loaded_after("import worker.celery_app", ("torch", "torchvision")) == []


def test_recipes_and_results_load_nothing_heavy() -> None:
    modules = "models.recipes.job, models.results.verification, models.errors"
    assert loaded_after(f"import {modules}", HEAVY) == []


def test_reading_a_checkpoint_loads_no_torch() -> None:
    assert loaded_after("import models.checkpoints.inspect_main", ("torch", "torchvision")) == []


def test_client_verbs_load_no_database() -> None:
    statement = "import app.cli, app.commands.submit, app.commands.watch, app.commands.fetch"
    assert loaded_after(statement, ("sqlalchemy", "celery", "fastapi")) == []
