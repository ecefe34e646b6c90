import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from app.processes import (
    MAX_QUICK_DEATHS,
    STABLE_S,
    ChildFailedError,
    ChildSpec,
    Supervisor,
    start_child,
    stop_on_signals,
    tail,
)

SLEEPER = "import time; time.sleep(60)"
STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def python(name: str, code: str, log_path: Path | None = None) -> ChildSpec:
    return ChildSpec(name, [sys.executable, "-c", code], dict(os.environ), log_path)


def wait_until(condition, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def end_of(supervisor: Supervisor, name: str) -> None:
    pid = supervisor.pids()[name]
    wait_until(lambda: not is_alive(pid))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def supervise(clock: Clock):
    made: list[Supervisor] = []

    def make(*specs: ChildSpec) -> Supervisor:
        supervisor = Supervisor(announce=lambda text: None, clock=clock)
        made.append(supervisor)
        for spec in specs:
            supervisor.start(spec)
        return supervisor

    yield make
    for supervisor in made:
        supervisor.stop(timeout_s=0.0)


def test_a_killed_child_comes_back_after_a_pause(supervise, clock: Clock) -> None:
    supervisor = supervise(python("sleeper", SLEEPER))
    first = supervisor.pids()["sleeper"]
    os.kill(first, signal.SIGKILL)
    end_of(supervisor, "sleeper")
    supervisor.tick()
    assert supervisor.pids() == {}
    clock.now += 0.5
    supervisor.tick()
    assert supervisor.pids()["sleeper"] != first


def test_a_child_that_cannot_be_started_again_is_tried_once_more(
    supervise, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended the whole service, for want of a process or of memory at one moment."""

    def full(spec: ChildSpec) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    supervisor = supervise(python("sleeper", SLEEPER))
    os.kill(supervisor.pids()["sleeper"], signal.SIGKILL)
    end_of(supervisor, "sleeper")
    supervisor.tick()
    clock.now += 0.5
    with monkeypatch.context() as outage:
        outage.setattr("app.processes.start_child", full)
        supervisor.tick()
    assert supervisor.pids() == {}
    clock.now += 1.0
    supervisor.tick()
    assert "sleeper" in supervisor.pids()


def test_the_pause_grows_with_each_quick_death(supervise, clock: Clock) -> None:
    supervisor = supervise(python("broken", "raise SystemExit(3)"))
    for delay_s in (0.5, 1.0, 2.0):
        end_of(supervisor, "broken")
        supervisor.tick()
        clock.now += delay_s * 0.9
        supervisor.tick()
        assert supervisor.pids() == {}
        clock.now += delay_s * 0.1 + 1e-6
        supervisor.tick()
        assert "broken" in supervisor.pids()


def test_a_child_that_never_comes_up_is_reported_with_its_last_words(
    supervise, clock: Clock, tmp_path
) -> None:
    supervisor = supervise(python("broken", "raise SystemExit('no such module')", tmp_path / "broken.log"))
    for _ in range(MAX_QUICK_DEATHS - 1):
        end_of(supervisor, "broken")
        supervisor.tick()
        clock.now += 30.0
        supervisor.tick()
    end_of(supervisor, "broken")
    with pytest.raises(ChildFailedError) as caught:
        supervisor.tick()
    assert "no such module" in caught.value.log_tail


def test_deaths_after_a_stable_life_are_forgiven(supervise, clock: Clock) -> None:
    supervisor = supervise(python("mortal", "raise SystemExit(1)"))
    for _ in range(MAX_QUICK_DEATHS + 2):
        end_of(supervisor, "mortal")
        clock.now += STABLE_S
        supervisor.tick()
        clock.now += 0.5
        supervisor.tick()
    assert "mortal" in supervisor.pids()


def test_stopping_leaves_no_process(supervise) -> None:
    supervisor = supervise(python("one", SLEEPER), python("two", SLEEPER))
    pids = supervisor.pids().values()
    supervisor.stop()
    assert not any(is_alive(pid) for pid in pids)


def test_a_child_that_ignores_sigterm_is_killed(supervise, tmp_path: Path) -> None:
    supervisor = supervise(python("stubborn", STUBBORN, tmp_path / "log"))
    pid = supervisor.pids()["stubborn"]
    wait_until(lambda: "up" in (tmp_path / "log").read_text())
    supervisor.stop(timeout_s=0.1)
    assert not is_alive(pid)


@pytest.mark.parametrize("quietly", [False, True])
def test_a_killing_is_announced_or_left_to_the_childs_log(tmp_path: Path, quietly: bool) -> None:
    told: list[str] = []
    supervisor = Supervisor(announce=told.append)
    log = tmp_path / "log"
    supervisor.start(python("stubborn", STUBBORN, log))
    wait_until(lambda: "up" in log.read_text())
    supervisor.stop(timeout_s=0.1, quietly=quietly)
    assert any("did not end by itself" in text for text in told) is not quietly
    assert ("did not end by itself" in log.read_text()) is quietly


def test_grandchildren_of_the_same_group_end_too(supervise, tmp_path: Path) -> None:
    code = textwrap.dedent(f"""
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}])
        print(child.pid, flush=True)
        child.wait()
    """)
    supervisor = supervise(python("parent", code, tmp_path / "log"))
    wait_until(lambda: (tmp_path / "log").read_text().endswith("\n"))
    grandchild = int((tmp_path / "log").read_text())
    assert is_alive(grandchild)
    supervisor.stop(timeout_s=1.0)
    wait_until(lambda: not is_alive(grandchild))


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_children_die_when_their_parent_is_killed() -> None:
    code = textwrap.dedent(f"""
        import os, sys, time
        from app.processes import ChildSpec, start_child
        child = start_child(ChildSpec("c", [sys.executable, "-c", {SLEEPER!r}], dict(os.environ)))
        print(child.pid, flush=True)
        time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    wait_until(lambda: not is_alive(pid))


def test_logs_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    child = start_child(python("quiet", "print('hello')", tmp_path / "quiet.log"))
    child.wait()
    assert (tmp_path / "quiet.log").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "quiet.log").read_text() == "hello\n"


def test_a_tail_holds_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {n}\n" for n in range(1000)))
    text = tail(path, 100)
    assert text.startswith("line 9")
    assert text.endswith("line 999\n")


@pytest.mark.parametrize("instead", ["link", "pipe", "folder", "nothing"])
def test_a_tail_is_of_a_file_alone(instead: str, tmp_path: Path) -> None:
    """A pipe kept the worker waiting for whoever would write to it."""
    path, secret = tmp_path / "log", tmp_path / "secret"
    secret.write_text("what the worker may read\n")
    makers = {"link": lambda: path.symlink_to(secret), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}
    makers.get(instead, lambda: None)()
    assert tail(path) == ""


def test_a_signal_asks_to_stop_and_a_second_one_insists() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signals() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("ignored", [False, True])
def test_the_end_of_the_terminal_asks_to_stop_unless_it_is_ignored(ignored: bool) -> None:
    """It killed the service outright: jobs lost an attempt, and ``proctor run`` left its home behind."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        with stop_on_signals() as stop:
            assert (signal.getsignal(signal.SIGHUP) is signal.SIG_DFL) is False
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGHUP)
            assert stop.is_set() is not ignored
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_ctrl_c_inside_of_a_finalizer_is_not_lost() -> None:
    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    with stop_on_signals() as stop:
        Dying()
        assert stop.is_set()
