"""Settings: read from the environment once, then passed down."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import AfterValidator, AliasChoices, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core.errors import Unavailable
from app.core.urls import checked_blob_url, checked_broker_url, checked_database_url
from models.sandbox.profiles import Mode

MIB = 1024 * 1024

#: What else is read by a name like those of settings: by the command line, and by tests and benchmarks.
OTHER_VARIABLES = frozenset({"PROCTOR_URL", "PROCTOR_API_KEY", "PROCTOR_DEBUG", "PROCTOR_SHARED_DATA"})


def _url(name: str) -> AliasChoices:
    """Accept the bare name that every hosting platform sets, and our own prefixed one before it."""
    return AliasChoices(f"PROCTOR_{name}", name)


def _absolute(path: Path) -> Path:
    """Read ``~``, and fix a relative path while the working directory is still the user's."""
    return path.expanduser().absolute()


def _addressable(path: Path) -> Path:
    """Refuse a home that the URLs made of it would lead away from.

    Raises:
        ValueError: Its path has a character that means something else in a URL.
    """
    if not frozenset("?#%").isdisjoint(str(path)):
        msg = "must have no ?, # or % in its path: URLs of its database and its blobs are made of it"
        raise ValueError(msg)
    return path


def embedded_urls(home: Path) -> dict[str, str]:
    """Give the URLs, by the names of the settings, with which everything lies in ``home``."""
    return {
        "database_url": f"sqlite:///{home}/proctor.db",
        "broker_url": "filesystem://localhost",
        "blob_url": f"file://{home}/blobs",
    }


def _in_home(name: str) -> Any:
    """Make a default from the folder that ``home`` turned out to be."""
    return lambda fields: embedded_urls(fields["home"])[name]


def _default_mode(host: str) -> Mode:
    """Take ``degraded`` only where no other machine can reach the service."""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    return "degraded" if local else "required"


class Settings(BaseSettings):
    """Everything a deployment may change. With nothing set, all state lies in one folder, ``home``."""

    model_config = SettingsConfigDict(
        env_prefix="PROCTOR_",
        extra="ignore",
        frozen=True,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )

    home: Annotated[Path, AfterValidator(_absolute), AfterValidator(_addressable)] = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("proctor")), validate_default=True
    )
    """Folder of the embedded database, broker, blobs, scratch space and first key; processes work in it."""
    database_url: Annotated[str, AfterValidator(checked_database_url)] = Field(
        default_factory=_in_home("database_url"), validation_alias=_url("DATABASE_URL")
    )
    broker_url: Annotated[str, AfterValidator(checked_broker_url)] = Field(
        default_factory=_in_home("broker_url"), validation_alias=_url("BROKER_URL")
    )
    blob_url: Annotated[str, AfterValidator(checked_blob_url)] = Field(
        default_factory=_in_home("blob_url"), validation_alias=_url("BLOB_URL")
    )
    host: str = "127.0.0.1"
    port: int = Field(default=8642, ge=0, le=65535)

    max_upload_bytes: int = Field(default=256 * MIB, ge=1)
    """Largest teacher or archive accepted; the largest public checkpoint we tested is 85 MiB."""
    max_body_bytes: int = Field(default=4 * MIB, ge=1024)
    """Largest JSON body: eight trigger pictures of 256 KiB in base64 are 2.7 MiB."""
    max_artifact_bytes: int = Field(default=1024 * MIB, ge=1)
    """Largest single file a job may publish."""

    min_free_bytes: int = Field(default=512 * MIB, ge=0)
    """Where a folder of blobs has less room, /readyz says no: one of the largest uploads and what is made of
    it. Nothing is refused for it; an upload that does not fit is."""

    max_event_streams: int = Field(default=64, ge=1)
    """Streams of events that a tenant may have open at one process of the API: each asks the database four
    times a second."""

    lease_s: float = Field(default=60.0, gt=0)
    """A running job whose worker was silent for so long is given to another attempt."""
    heartbeat_s: float = Field(default=10.0, gt=0, validate_default=True)
    """How often a worker extends its lease; shorter than the lease."""
    upkeep_s: float = Field(default=15.0, gt=0)
    """How often the scheduler has lost and abandoned jobs looked for."""
    rering_s: float = Field(default=30.0, gt=0)
    """A queued job nobody claimed for so long is rung again."""
    max_attempts: int = Field(default=3, ge=1)
    """Workers that may die in a row on a job that gets no further; then it fails with ``infrastructure``."""
    checkpoint_s: float = Field(default=30.0, gt=0)
    """At most so much training is lost when a worker dies."""
    cancel_grace_s: float = Field(default=3.0, gt=0)
    """From asking a job's process to stop to killing it; so long may files of a finished stage be stored."""
    job_timeout_s: float = Field(default=4 * 3600.0, gt=0)
    """Time limit of a job that names none."""
    inspect_timeout_s: float = Field(default=400.0, gt=0)
    """Time limit of an inspection: more than its processes' own, which say better what was too slow. They add
    up to 195 s for a checkpoint that timm has to describe, and 180 s for images."""
    inspect_wait_s: float = Field(default=30.0, ge=0)
    """How long an upload's answer waits for the inspection."""
    sandbox: Mode = Field(default_factory=lambda fields: _default_mode(fields.get("host", "")))
    """What happens on a machine that cannot lock a job's process in completely (docs/threat-model.md).

    ``required``: nothing starts. ``degraded``: the service uses what there is, and /readyz, `proctor doctor`,
    inspections and reports say what is missing. The default depends on who can upload: a service that listens
    beyond this machine takes strangers' files, so it is ``required`` there. One that listens on this machine
    alone takes its owner's files, and must run in the containers and laptops where people try it first.
    `proctor worker` does not know where its API listens, and takes ``required``.
    """
    max_job_memory_bytes: int | None = Field(default=None, ge=64 * MIB)
    """Of a job's process beyond its libraries. Unset, all that the machine or the container has."""
    max_scratch_bytes: int = Field(default=8192 * MIB, ge=MIB)
    """Sum of a job's files while it runs: inputs, outputs, two generations of states to resume from."""

    calibration_dir: Annotated[Path, AfterValidator(_absolute)] | None = None
    """Folder of reference sets (``*.json`` of `proctor calibrate`) for audits, beside the shipped ones."""

    @field_validator("heartbeat_s")
    @classmethod
    def _before_the_lease_ends(cls, heartbeat_s: float, given: ValidationInfo) -> float:
        """Refuse a heartbeat that comes too late: each job would be given away while it runs."""
        lease_s = given.data.get("lease_s")  # missing if it is not possible itself
        if lease_s is not None and heartbeat_s >= lease_s:
            raise ValueError(f"{heartbeat_s:g} s is not shorter than PROCTOR_LEASE_S, {lease_s:g} s")
        return heartbeat_s

    @property
    def broker_folder(self) -> Path:
        """Where the ``filesystem://`` broker keeps its messages."""
        return self.home / "broker"

    @property
    def scratch_folder(self) -> Path:
        """Where running jobs keep their files."""
        return self.home / "scratch"

    @property
    def key_file(self) -> Path:
        """Where the first key is kept for the command line."""
        return self.home / "api_key"

    def make_home(self) -> Path:
        """Make ``home``, readable by its owner alone, and return it.

        Raises:
            Unavailable: ``home_unusable`` if there can be no such folder.
        """
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(
                "home_unusable",
                f"The home {self.home} cannot be made: {error.strerror or error}.",
                "Name another folder with --home or PROCTOR_HOME.",
            ) from error
        return self.home
