"""What hostile code would try once it runs in the process that reads its file.

    python -I hostile.py none|parse|train FOLDER PORT

Enters a profile as the product does, tries everything, and prints {what: outcome}; an outcome is "done", or
the kernel's answer. With ``none`` it shows that the attempts are real. FOLDER has ``scratch``, where it may
write, and ``outside.txt``, which it must not touch. The process that started it is its victim.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import functools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from models.sandbox.bounds import Bounds
from models.sandbox.profiles import PARSE, TRAIN, confine, seal

LIBC = ctypes.CDLL(None, use_errno=True)
BOUNDS = Bounds(file_bytes=1 << 20, open_files=64, memory_bytes=1 << 30)
X86 = os.uname().machine == "x86_64"
Attempts = dict[str, Callable[[], object]]


def system_call(x86_64: int, aarch64: int, *arguments: object) -> Callable[[], object]:
    def attempt() -> object:
        if LIBC.syscall(x86_64 if X86 else aarch64, *arguments) < 0:
            raise OSError(ctypes.get_errno(), "")
        return None

    return attempt


def read(path: str | Path) -> Callable[[], object]:
    return lambda: sorted(Path(path).iterdir()) if Path(path).is_dir() else Path(path).read_bytes()


def open_memory(pid: int) -> None:
    os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))


def steal_by_link(outside: Path, scratch: Path) -> None:
    os.link(outside, scratch / "link")
    (scratch / "link").read_bytes()


def steal_by_symlink(outside: Path, scratch: Path) -> None:
    (scratch / "symlink").symlink_to(outside)
    (scratch / "symlink").read_bytes()


def files(folder: Path, victim: int) -> Attempts:
    outside, scratch = folder / "outside.txt", folder / "scratch"
    return {
        "accounts": read("/etc/passwd"),
        "root_folder": read("/"),
        "neighbours": read(folder),
        "neighbour": read(outside),
        "upwards": read(f"{scratch}/../outside.txt"),
        "by_proc_root": read(f"/proc/self/root{outside}"),
        "by_link": lambda: steal_by_link(outside, scratch),
        "by_symlink": lambda: steal_by_symlink(outside, scratch),
        "victims_environment": read(f"/proc/{victim}/environ"),
        "victims_memory": functools.partial(open_memory, victim),
        "overwrite": lambda: outside.open("ab").close(),
        "create": (folder / "planted").touch,
    }


def attributes(folder: Path) -> Attempts:
    outside = folder / "outside.txt"
    return {
        "delete": (folder / "doomed.txt").unlink,
        "mode": lambda: outside.chmod(0o777),
        "owner": lambda: os.chown(outside, os.getuid(), os.getgid()),
        "times": lambda: os.utime(outside),
        "attribute": lambda: os.truncate(outside, 1),
    }


def connect(family: int, kind: int, address: object) -> Callable[[], object]:
    def attempt() -> None:
        with socket.socket(family, kind) as one:
            one.connect(address)

    return attempt


def connections(folder: Path, port: int) -> Attempts:
    return {
        "tcp": connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port)),
        "udp": connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 53)),
        "unix": connect(socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "outside.sock")),
        "abstract": lambda: socket.socket(socket.AF_UNIX).bind(f"\0proctor{os.getpid()}"),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
        "pair": lambda: [one.close() for one in socket.socketpair()],
    }


def fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def order_signals(victim: int) -> None:
    """Have the victim told whenever this pipe is ready; with F_SETSIG it would be killed."""
    ends = os.pipe()
    try:
        fcntl.fcntl(ends[0], fcntl.F_SETOWN, victim)
    finally:
        for end in ends:
            os.close(end)


def processes(victim: int) -> Attempts:
    new_user, attach = 0x10000000, 0x4206  # PTRACE_SEIZE: does not stop it
    return {
        "fork": fork,
        "spawn": lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
        "run": lambda: subprocess.run(["/bin/true"], check=True),
        "exec": system_call(59, 221, b"/nonexistent", None, None),
        "kill": lambda: os.kill(victim, 0),
        "kill_by_pipe": functools.partial(order_signals, victim),
        "ptrace": system_call(101, 117, attach, victim, None, None),
        "read_memory": system_call(310, 270, victim, None, 0, None, 0, 0),
        "pidfd": system_call(434, 434, victim, 0),
        "limits": system_call(302, 261, victim, 7, None, ctypes.create_string_buffer(16)),
        "unshare": system_call(272, 97, new_user),
    }


def surfaces() -> Attempts:
    space = ctypes.create_string_buffer(256)
    return {
        "mount": system_call(165, 40, b"none", b"/nonexistent", b"tmpfs", 0, None),
        "bpf": system_call(321, 280, 0, space, 72),
        "io_uring": system_call(425, 425, 1, space),
        "userfaultfd": system_call(323, 282, 1),
        "perf": system_call(298, 241, space, 0, -1, -1, 0),
        "keyctl": system_call(250, 219, 0, -2, 0),
        "memfd": system_call(319, 279, b"x", 0),
        "module": system_call(313, 273, -1, b"", 0),
        "handle": system_call(304, 265, -100, space, 0),
        "newer": system_call(453, 453, 0, 0, 0),
        "second_table": system_call(0x40000000 | 39, 1000),
    }


def thread() -> None:
    started = threading.Thread(target=int)
    started.start()
    started.join()


def allowed(scratch: Path) -> Attempts:
    return {
        "write": lambda: (scratch / "out").write_bytes(b"1"),
        "replace": lambda: (scratch / "out").replace(scratch / "final"),
        "random": lambda: os.urandom(8),
        "signal_itself": lambda: os.kill(os.getpid(), 0),
    }


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    except RuntimeError as error:  # what Python makes of a thread that cannot be started
        return str(error)
    return "done"


def main(profile: str, folder: Path, port: int) -> None:
    scratch = folder / "scratch"
    missing: tuple[str, ...] = ()
    if profile != "none":
        import numpy  # noqa: F401

        missing = confine(write=[scratch]) + seal(PARSE if profile == "parse" else TRAIN, BOUNDS)
    victim = os.getppid()
    tried = {
        "files": files(folder, victim),
        "attributes": attributes(folder),
        "connections": connections(folder, port),
        "processes": processes(victim),
        "surfaces": surfaces(),
        "allowed": allowed(scratch),
        "thread": {"thread": thread},
    }
    outcomes = {
        group: {name: outcome(attempt) for name, attempt in attempts.items()}
        for group, attempts in tried.items()
    }
    print(json.dumps({"missing": missing, **outcomes}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
