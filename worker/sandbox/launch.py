"""Starting and ending a job's process.

The process dies with its worker (``PR_SET_PDEATHSIG``), also when the worker is killed with signal 9, so no
orphan goes on computing for a job that another worker has. It gets no credential: an empty environment but
for threads and devices, no inherited descriptor but its pipe, isolated Python (``-I``).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from worker.sandbox.protocol import MessageStream

CHILD = (sys.executable, "-I", "-m", "worker.sandbox.child")
PR_SET_PDEATHSIG = 1
#: What a process needs to find its accelerator; everything else in the environment is withheld.
DEVICE_VARIABLES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")

_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOEXEC}


class ProgramMissing(OSError):
    """This host has no such program, may not run it, or it ends before it says a word.

    An installation that is broken, or being updated: none of the job's own code has run.
    """


class Child:
    """A running process and what it says."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Listen to a process that was started with a pipe as its standard output."""
        assert process.stdout is not None, "started without a pipe"  # noqa: S101
        self._process = process
        self.messages = MessageStream(process.stdout.fileno())

    @property
    def pid(self) -> int:
        """The process, which is also its process group."""
        return self._process.pid

    def ask_to_stop(self) -> None:
        """Let it stop at its next step boundary."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> int:
        """End it and all it started; return its exit status, negative for a signal. May be called twice."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()

    def wait(self, timeout_s: float) -> int:
        """Wait for the end of a process that has closed its pipe, then make sure of it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return self.kill()


@contextmanager
def launch(command: Sequence[str], folder: Path, *, threads: int, log: Path) -> Iterator[Child]:
    """Run ``command`` with ``folder`` as last argument and working directory; on leaving, nothing of it runs.

    Args:
        command: ``CHILD``, or a test's own.
        folder: The scratch folder; all the process may read and write.
        threads: How many threads its numeric libraries may use.
        log: Gets its standard error.

    Raises:
        ProgramMissing: There is nothing to run.
        OSError: The host has no process, memory or disk space left for it.
    """
    with log.open("ab") as errors:
        try:
            process = subprocess.Popen(
                [*command, str(folder)],
                cwd=folder,
                env=_environment(folder, threads),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                preexec_fn=_bind_to(os.getpid()),  # noqa: PLW1509 - solo workers have one thread
            )
        except OSError as error:
            if error.filename == command[0] and error.errno in _MISSING:
                raise ProgramMissing(error.errno, error.strerror) from error
            raise
    with process:
        child = Child(process)
        try:
            yield child
        finally:
            child.kill()


def _environment(folder: Path, threads: int) -> dict[str, str]:
    count = str(threads)
    variables = {name: os.environ[name] for name in DEVICE_VARIABLES if name in os.environ}
    return variables | {
        "PATH": os.defpath,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "MPLCONFIGDIR": str(folder),
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        # joblib, which scikit-learn loads, would try shared memory and warn that the sandbox forbids it.
        "JOBLIB_MULTIPROCESSING": "0",
    }


def _bind_to(parent: int) -> Callable[[], None]:
    """Make what runs in the new process before its program: die with the parent, leave no core file."""
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if sys.platform == "linux":
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died between fork and prctl
                os._exit(1)

    return prepare
