"""What all tests share: one thread per process, ``--runslow``, and real servers where they are installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import kombu
import kombu.exceptions
import psycopg
import pytest
import redis
from moto.server import ThreadedMotoServer

from app.core.settings import Settings
from app.infra.queue import make_celery

# Before anything imports torch or NumPy. Two processes that each take both cores slow each other ten-fold.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

SERVER_START_S = 30.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--runslow", action="store_true", help="also run tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--runslow"):
        return
    skip = pytest.mark.skip(reason="slow; run with --runslow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def no_proctor_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own server, key and databases out of every test."""
    for name in list(os.environ):
        if name.startswith("PROCTOR_") or name in {"DATABASE_URL", "BROKER_URL", "BLOB_URL"}:
            monkeypatch.delenv(name)


@pytest.fixture
def free_port() -> int:
    return find_free_port()


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(answers: Callable[[], bool], process: subprocess.Popen[bytes], what: str) -> None:
    deadline = time.monotonic() + SERVER_START_S
    while not answers():
        assert process.poll() is None, f"{what} ended with status {process.returncode}"
        assert time.monotonic() < deadline, f"{what} did not answer within {SERVER_START_S:g} s"
        time.sleep(0.05)


def find_program(name: str, *patterns: str) -> str | None:
    """Look on PATH, then where Debian hides it."""
    hidden = [str(path) for pattern in patterns for path in sorted(Path("/").glob(pattern), reverse=True)]
    return shutil.which(name) or next(iter(hidden), None)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Give the URL of a PostgreSQL server, without a database; TEST_POSTGRESQL_URL names a running one."""
    given = os.environ.get("TEST_POSTGRESQL_URL")
    if given:
        yield given.rstrip("/")
        return
    initdb = find_program("initdb", "usr/lib/postgresql/*/bin/initdb")
    if initdb is None:
        pytest.skip("PostgreSQL is not installed: there is no initdb")
    folder = Path(tempfile.mkdtemp(prefix="proctor-postgresql-"))
    # The server refuses to run as root.
    owner = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
    if owner:
        shutil.chown(folder, **owner)
    port = find_free_port()
    try:
        subprocess.run(
            [initdb, "-D", str(folder), "-U", "postgres", "--auth=trust", "--no-sync"],
            check=True, capture_output=True, cwd=folder, **owner,
        )  # fmt: skip
        command = [str(Path(initdb).with_name("postgres")), "-D", str(folder), "-k", str(folder)]
        options = [f"-cport={port}", "-clisten_addresses=127.0.0.1", "-cfsync=off"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([*command, *options], stderr=log, cwd=folder, **owner)
        url = f"postgresql://postgres@127.0.0.1:{port}"
        try:
            wait_for(lambda: _answers_postgresql(url), process, "PostgreSQL")
            yield url
        finally:
            process.terminate()
            process.wait(SERVER_START_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answers_postgresql(url: str) -> bool:
    try:
        psycopg.connect(f"{url}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """Give the URL of an empty database of its own."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(f"{postgresql_server}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        yield f"{postgresql_server}/{name}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """Give the URL of a Redis server; TEST_REDIS_URL names a running one, whose database is emptied."""
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        yield given
        return
    program = find_program("redis-server")
    if program is None:
        pytest.skip("Redis is not installed: there is no redis-server")
    port = find_free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir())
    try:
        url = f"redis://127.0.0.1:{port}/0"
        wait_for(lambda: _answers_redis(url), process, "Redis")
        yield url
    finally:
        process.terminate()
        process.wait(SERVER_START_S)


def _answers_redis(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.fixture
def redis_url(redis_server: str) -> Iterator[str]:
    """Give the URL of an empty Redis database."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushdb()
        yield redis_server


@pytest.fixture(scope="session")
def rabbitmq_server() -> str:
    """Give the URL of a running RabbitMQ, TEST_RABBITMQ_URL or the local one; its queues of ours are emptied.

    None is started here: unlike the others it wants a node, a cookie and a port mapper of its own.
    """
    url = os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//")
    try:
        with kombu.Connection(url, connect_timeout=2) as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
    except kombu.exceptions.OperationalError as error:
        pytest.skip(f"no RabbitMQ answers; TEST_RABBITMQ_URL names one: {error}")
    return url


@pytest.fixture
def rabbitmq_url(rabbitmq_server: str, tmp_path: Path) -> str:
    """Give the URL of a RabbitMQ in whose queues of ours nothing waits."""
    with kombu.Connection(rabbitmq_server) as connection:
        for queue in make_celery(Settings(home=tmp_path, broker_url=rabbitmq_server)).conf.task_queues:
            # Deleted instead of purged, it would be missing: senders declare a queue once per connection.
            bound = queue(connection)
            bound.declare()
            bound.purge()
    return rabbitmq_server


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Give the URL of an S3 server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the ``BLOB_URL`` of an empty bucket; the environment holds what opens it, for subprocesses too."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    bucket = f"test-{uuid.uuid4().hex}"
    where = {"LocationConstraint": "eu-central-1"}
    boto3.session.Session().client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    return f"s3://{bucket}/some/prefix"
