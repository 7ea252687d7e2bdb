"""Restricts a reader process: limited memory and file size, no network, no writing outside its scratch folder.

On Linux the kernel enforces this: a namespace removes the network where the system allows one, Landlock also
blocks TCP (Linux 6.7), and Landlock restricts writing (Linux 5.13). Elsewhere only an audit hook does, which sees
Python code but not native libraries; macOS also limits the size of files. None of this keeps a process from
reading what its user can read.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

MEGABYTE = 1_000_000
WRITTEN_MEGABYTES = 500
"""Largest file that a reader may write into its scratch folder, such as another program's output."""

_NEW_USERS, _NEW_NETWORK = 0x10000000, 0x40000000


def confine(read_megabytes: int, scratch: Path) -> None:
    """Permanently drop the rights that a reader doesn't need. Call it while the process has one thread.

    Restrictions that the platform doesn't offer are skipped; see above.
    """
    _limit_resources(read_megabytes)
    if sys.platform == "linux":
        _leave_network()
        _keep_writes_in(scratch)
    sys.addaudithook(_refusal_of(scratch))


def _limit_resources(read_megabytes: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    for which, most in (
        (resource.RLIMIT_AS, read_megabytes * MEGABYTE),
        (resource.RLIMIT_FSIZE, WRITTEN_MEGABYTES * MEGABYTE),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(which)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(OSError, ValueError):  # macOS knows the name but refuses the limit
            resource.setrlimit(which, (most, most))


def _leave_network() -> None:
    """Enter a new network namespace, in which not even loopback is up. Without root rights that needs a user
    namespace, too, in which the user id stays the same."""
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK) == 0 or libc.unshare(_NEW_USERS | _NEW_NETWORK) != 0:
        return
    with suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


# Landlock, from linux/landlock.h. Rights that change the file system, and the version that brought each group.
_WRITING = (1 << 1) | sum(1 << bit for bit in range(4, 13))
_MAKING_SOCKETS = 1 << 9
_MOVING, _TRUNCATING = 1 << 13, 1 << 14
_TCP = 0b11
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_NO_NEW_PRIVILEGES = 38


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _keep_writes_in(scratch: Path) -> None:
    """Restrict writing by Landlock (https://docs.kernel.org/userspace-api/landlock.html), also for child
    programs."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return
    rights = _WRITING | (_MOVING if version >= 2 else 0) | (_TRUNCATING if version >= 3 else 0)
    rules = _Ruleset(rights, _TCP if version >= 4 else 0)
    size = ctypes.sizeof(rules) if version >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return
    # LibreOffice listens only in /tmp; process.py removes what it can't remove itself.
    for place, allowed in ((scratch, rights), (Path(os.devnull), 1 << 1), (Path("/tmp"), _MAKING_SOCKETS)):
        with suppress(OSError):
            folder = os.open(place, os.O_PATH | os.O_CLOEXEC)
            rule = _PathBeneath(allowed, folder)
            libc.syscall(_ADD_RULE, ruleset, 1, ctypes.byref(rule), 0)
            os.close(folder)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


_CHANGES = frozenset(("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"))
_TWO_PATHS = frozenset(("os.rename", "os.link", "os.symlink"))
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _refusal_of(scratch: Path) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that raises PermissionError for forbidden operations of Python code."""
    inside = f"{scratch}{os.sep}"

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith("socket."):
            raise PermissionError("readers have no network")
        if event == "open":
            path, _, flags = arguments
            changes = isinstance(flags, int) and flags & _WRITE_FLAGS
        else:
            changes = event in _CHANGES and all(place == -1 for place in arguments if isinstance(place, int))
            path = arguments[1 if event in _TWO_PATHS else 0] if changes else None
        if not changes or not isinstance(path, str | bytes | os.PathLike):
            return
        name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - resolve() asks the file system
        if not (name + os.sep).startswith(inside) and name != os.devnull:
            raise PermissionError("readers write in their scratch folder only")

    return refuse
