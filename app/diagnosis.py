"""The checks of ``proctor doctor``, one function each."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from alembic.runtime.migration import MigrationContext
from kombu.exceptions import OperationalError
from kombu.utils.url import maybe_sanitize_url
from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError

from app.core.errors import ServiceError
from app.core.reference_folder import MAX_FILES, reference_files
from app.core.settings import OTHER_VARIABLES, Settings, embedded_urls
from app.db import migrate
from app.db.base import make_engine, make_session_factory, parse_url
from app.db.faults import explain_newer
from app.db.tables import UpkeepPass
from app.embedded import compute_threads, usable_cores
from app.home import read_key, read_server
from app.infra.blobs import make_blob_store
from app.infra.queue import make_celery
from app.services import keys, upkeep_passes
from models.errors import DataRejected
from models.probes.calibration.read_set import read_set_file
from models.sandbox.level import sandbox_level
from models.sandbox.profiles import SandboxUnavailable

State = Literal["ok", "warning", "failed"]
_TORCH_PROBE = """
import json, torch
print(json.dumps([torch.__version__, torch.get_num_threads(), torch.cuda.is_available()]))
"""
_FREE_BYTES = 5 << 30


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    state: State
    detail: str
    hint: str = ""

    def document(self) -> dict[str, str]:
        """Give it as JSON."""
        return asdict(self)


#: Check -> what to do if it fails in a way of which it says nothing itself.
_HINTS = {
    "torch": "See whether `python -c 'import torch'` ends; install Proctor again if not.",
    "home": "Choose a folder that this user may write to with PROCTOR_HOME.",
    "database": "Start the database, or correct DATABASE_URL; unset, it is a file in the home.",
    "queue": "Start the broker, or correct BROKER_URL; unset, it is a folder in the home.",
    "blobs": "See that the folder or bucket is there and may be written to, or correct BLOB_URL.",
    "key": "Put the database right first: the key is looked up there.",
    "upkeep": "Put the database right first: upkeep is noted there.",
    "sandbox": "See docs/threat-model.md for what the sandbox needs.",
    "references": "Correct PROCTOR_CALIBRATION_DIR, or let this user read the folder.",
}
_REPORT = "Report it with the output of `proctor doctor --json`."

Check = Callable[[Settings], tuple[State, str, str]]


def examine(check: tuple[str, Check], settings: Settings) -> Finding:
    """Run one check; a fault it did not foresee is a finding too, so that the others still run."""
    name, function = check
    try:
        return Finding(name, *function(settings))
    except (OSError, ServiceError, SQLAlchemyError, OperationalError, subprocess.SubprocessError) as error:
        first_line = (str(error).splitlines() or [""])[0]
        own = error.hint if isinstance(error, ServiceError) else ""
        return Finding(
            name, "failed", f"{type(error).__name__}: {first_line}", own or _HINTS.get(name, _REPORT)
        )


def check_python(settings: Settings) -> tuple[State, str, str]:
    """Tell the versions of Python and Proctor."""
    del settings
    proctor = importlib.metadata.version("proctor")
    return "ok", f"Python {platform.python_version()} on {platform.system()}, Proctor {proctor}", ""


def check_torch(settings: Settings) -> tuple[State, str, str]:
    """Import torch where jobs import it: in another process."""
    del settings
    done = subprocess.run(
        [sys.executable, "-I", "-c", _TORCH_PROBE], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        return "failed", reason, "Install Proctor again; torch must be importable."
    version, threads, cuda = json.loads(done.stdout)
    return "ok", f"torch {version}, {threads} threads, {'CUDA' if cuda else 'no CUDA'}", ""


def check_home(settings: Settings) -> tuple[State, str, str]:
    """Look for space in the home, and for a server on it."""
    home = settings.make_home()
    free_bytes = shutil.disk_usage(home).free
    server = read_server(home)
    running = f"served at {server.url}" if server is not None else "no server running"
    detail = f"{home}, {free_bytes / 2**30:.0f} GiB free, {running}"
    if free_bytes < _FREE_BYTES:
        return "warning", detail, "Make room, or choose another folder with PROCTOR_HOME."
    return "ok", detail, ""


def check_database(settings: Settings) -> tuple[State, str, str]:
    """Connect, and read which migration the database is at."""
    shown = parse_url(settings.database_url).render_as_string(hide_password=True)
    engine = make_engine(settings.database_url)
    try:
        with engine.connect() as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    if revision is None:
        return "warning", f"{shown}: no tables yet", "`proctor serve` or `proctor migrate` makes them."
    if not migrate.is_known(revision):
        return "failed", *explain_newer(settings, revision)
    return "ok", f"{shown}: at revision {revision}", ""


def check_broker(settings: Settings) -> tuple[State, str, str]:
    """Open a connection to the queue."""
    with make_celery(settings).connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0.2, timeout=5)
        return "ok", str(maybe_sanitize_url(settings.broker_url)), ""


def check_blobs(settings: Settings) -> tuple[State, str, str]:
    """Write a small blob, read it back, delete it, and look for room."""
    content = secrets.token_bytes(16)  # nobody else's: the blob may go at once
    store = make_blob_store(settings.blob_url)
    writer = store.open_for_write(limit_bytes=len(content))
    writer.write(content)
    blob = writer.finish()
    with store.open(blob.sha256) as file:
        intact = file.read() == content
    store.delete_if_stored_before(blob.sha256, math.inf)
    if not intact:
        return "failed", f"{settings.blob_url}: reads back other bytes", "Check the disk."
    free_bytes = store.free_bytes()
    if free_bytes is not None and free_bytes < settings.min_free_bytes:
        detail = f"{settings.blob_url}: {free_bytes:,} bytes free, less than {settings.min_free_bytes:,}"
        return "failed", detail, "Make room: /readyz says no for it (PROCTOR_MIN_FREE_BYTES)."
    return "ok", settings.blob_url, ""


def check_key(settings: Settings) -> tuple[State, str, str]:
    """See whether the command line's key is still good."""
    secret = read_key(settings.key_file)
    if secret is None:
        hint = "`proctor serve` makes one when it first starts; of `proctor api`, give PROCTOR_API_KEY."
        return "warning", f"no key in {settings.key_file}", hint
    engine = make_engine(settings.database_url)
    try:
        with make_session_factory(engine, read_only=True)() as session:
            principal = keys.authenticate(session, secret)
    finally:
        engine.dispose()
    if principal is None:
        return "warning", f"the key in {settings.key_file} is not valid", "Restart `proctor serve`."
    return "ok", f"{settings.key_file}, for {', '.join(sorted(principal.scopes))}", ""


def check_sandbox(settings: Settings) -> tuple[State, str, str]:
    """Try in another process how well this machine can lock in what reads uploads."""
    found = sandbox_level()
    landlock = f"Landlock version {found.landlock_version}" if found.landlock_version else "no Landlock"
    detail = f"{found}; {landlock}; mode: {settings.sandbox}"
    if found.level == "full":
        return "ok", detail, ""
    state: State = "failed" if settings.sandbox == "required" else "warning"
    return state, detail, SandboxUnavailable(found.missing).hint


def check_upkeep(settings: Settings) -> tuple[State, str, str]:
    """See how long ago lost jobs were last looked for, which takes scheduler, broker and a worker."""
    own_database = settings.database_url == embedded_urls(settings.home)["database_url"]
    if own_database and read_server(settings.home) is None:
        return "ok", "no server running, so nothing is due", ""
    engine = make_engine(settings.database_url)
    try:
        if not inspect(engine).has_table(UpkeepPass.__tablename__):
            return "warning", "no tables yet", "`proctor serve` or `proctor migrate` makes them."
        with make_session_factory(engine, read_only=True)() as session:
            age_s = upkeep_passes.age_s(session)
    finally:
        engine.dispose()
    hint = "See that `proctor scheduler` and a worker for the queue upkeep run, and their logs."
    if age_s is None:
        return "warning", "it was never done", hint
    detail = f"last done {age_s:.0f} s ago"
    return ("failed", detail, hint) if age_s > upkeep_passes.late_after_s(settings) else ("ok", detail, "")


def check_threads(settings: Settings) -> tuple[State, str, str]:
    """Tell how many cores there are to compute with."""
    del settings
    cores = usable_cores()
    if cores < 2:
        return "warning", "1 usable core", "Jobs and uploads will wait for each other; give it two."
    return "ok", f"{cores} usable cores; a job takes {compute_threads()} of them, everything else one", ""


def check_references(settings: Settings) -> tuple[State, str, str]:
    """Count the installation's own reference sets; those that come with Proctor are always there."""
    folder = settings.calibration_dir
    if folder is None:
        return "ok", "the sets that come with Proctor; PROCTOR_CALIBRATION_DIR is not set", ""
    found = reference_files(folder)
    usable = [_is_reference_set(path) for path in found[:MAX_FILES]]
    taken, unusable = usable.count(True), usable.count(False)
    detail = f"{taken} sets in {folder}, beside those that come with Proctor"
    if unusable:
        hint = "Jobs skip them; their logs say why. `proctor calibrate` writes sets."
        return "warning", f"{detail}; {unusable} files are no sets", hint
    if len(found) > MAX_FILES:
        hint = "Merge sets, or move some elsewhere: audits take the first by name."
        return "warning", f"{detail}; {len(found) - MAX_FILES} more than {MAX_FILES} files", hint
    if not taken:
        return "warning", detail, "Write sets into it with `proctor calibrate`, or leave the setting out."
    return "ok", detail, ""


def _is_reference_set(path: Path) -> bool:
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        read_set_file(path)
    except (DataRejected, OSError):
        return False
    return True


def check_settings(settings: Settings) -> tuple[State, str, str]:
    """Look for variables that are named like settings and are none: a misspelt one changes nothing."""
    del settings
    known = {f"PROCTOR_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    unknown = sorted(name for name in os.environ if name.startswith("PROCTOR_") and name not in known)
    if unknown:
        return "warning", f"not a setting: {', '.join(unknown)}", "docs/settings.md lists them all."
    return "ok", "every PROCTOR_ variable is one that Proctor reads", ""


CHECKS: tuple[tuple[str, Check], ...] = (
    ("python", check_python),
    ("torch", check_torch),
    ("settings", check_settings),
    ("home", check_home),
    ("database", check_database),
    ("queue", check_broker),
    ("blobs", check_blobs),
    ("key", check_key),
    ("sandbox", check_sandbox),
    ("references", check_references),
    ("upkeep", check_upkeep),
    ("threads", check_threads),
)
