"""docker-compose.yml names only commands, settings, images and services that exist. (No Docker is needed.)"""

from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from app.cli import VERBS, cli
from app.core.settings import Settings
from app.infra.queue import QUEUES

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("proctor-")}
#: Of the Compose specification; a misspelled key is ignored by some versions and refused by others.
SERVICE_KEYS = {
    "build",
    "command",
    "depends_on",
    "deploy",
    "environment",
    "healthcheck",
    "image",
    "ports",
    "profiles",
    "restart",
    "stop_grace_period",
    "volumes",
}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


def targets() -> set[str]:
    lines = (ROOT / "docker" / "Dockerfile").read_text().splitlines()
    return {line.split(" AS ")[1] for line in lines if line.startswith("FROM ")}


def test_everything_needed_is_there() -> None:
    expected = {"postgres", "redis", "migrate", "api", "worker-cpu", "worker-gpu", "scheduler"}
    assert expected <= set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_keys_are_those_of_the_specification(name: str) -> None:
    assert set(SERVICES[name]) <= SERVICE_KEYS


@pytest.mark.parametrize("name", OURS)
def test_commands_parse(name: str) -> None:
    program, verb, *arguments = OURS[name]["command"]
    assert program == "proctor"
    assert verb in VERBS
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    context = command.make_context(verb, list(arguments))
    queues = context.params.get("queues")
    assert queues is None or set(queues.split(",")) <= set(QUEUES)


def test_every_queue_has_a_worker() -> None:
    served = [
        queue
        for service in OURS.values()
        if service["command"][1] == "worker"
        for queue in service["command"][3].split(",")
    ]
    assert sorted(served) == sorted(QUEUES)


@pytest.mark.parametrize("name", OURS)
def test_environment_names_are_settings(name: str) -> None:
    fields = {f"PROCTOR_{field.upper()}" for field in Settings.model_fields}
    sdk = {
        f"AWS_{name}"
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "REGION", "ENDPOINT_URL_S3")
    }
    assert set(OURS[name]["environment"]) <= fields | sdk


@pytest.mark.parametrize("name", OURS)
def test_build_targets_exist(name: str) -> None:
    build = OURS[name].get("build")
    assert build is None or build["target"] in targets()


def test_every_image_of_ours_is_built_by_some_service() -> None:
    built = {service["image"] for service in OURS.values() if "build" in service}
    assert {service["image"] for service in OURS.values()} == built


@pytest.mark.parametrize("name", SERVICES)
def test_dependencies_exist_and_can_become_true(name: str) -> None:
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        assert wanted["condition"] in CONDITIONS
        if wanted["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]


def test_only_what_listens_is_asked_for_its_health() -> None:
    """The image of the API asks the API's port; in a service that is none it would be unhealthy for ever."""
    others = [service for service in OURS.values() if service["command"][1] != "api"]
    staying = [service for service in others if service["image"] == "proctor-api" and "restart" in service]
    assert staying
    assert [service["healthcheck"] for service in staying] == [{"disable": True}] * len(staying)


@pytest.mark.parametrize("name", SERVICES)
def test_named_volumes_are_declared(name: str) -> None:
    sources = {volume.split(":")[0] for volume in SERVICES[name].get("volumes", [])}
    assert sources <= set(COMPOSE["volumes"])


def default_of(value: str) -> str:
    return value.partition(":-")[2].removesuffix("}")


def test_api_and_workers_share_the_blobs() -> None:
    blob_folder = default_of(SERVICES["api"]["environment"]["PROCTOR_BLOB_URL"]).removeprefix("file://")
    for name in ("api", "worker-cpu", "worker-inspect", "worker-gpu"):
        mounted = [volume.split(":")[1] for volume in SERVICES[name]["volumes"]]
        assert any(blob_folder.startswith(folder) for folder in mounted)


def test_nothing_listens_beyond_this_machine_by_default() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_images_copy_only_what_exists() -> None:
    lines = (ROOT / "docker" / "Dockerfile").read_text().splitlines()
    copied = {source for line in lines if line.startswith("COPY ") for source in line.split()[1:-1]}
    assert {source for source in copied if not (ROOT / source).exists()} == set()
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied <= allowed


def test_postgres_is_asked_where_its_clients_ask() -> None:
    """On the socket answers, too, the server that sets the database up, which then ends."""
    assert "--host" in SERVICES["postgres"]["healthcheck"]["test"]
