"""Commands that run without a network, and machines that are network namespaces."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

# A new namespace has its loopback device down; the engine's own port is there.
LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14s", b"lo", 1, b""))  # SIOCSIFFLAGS, IFF_UP
os.execv(sys.argv[1], sys.argv[1:])
"""


@cache
def namespace() -> tuple[str, ...]:
    """What to put before a command so that it has no network; nothing where the system doesn't allow it."""
    up = (sys.executable, "-c", LOOPBACK_UP)
    for before in (("unshare", "-n", *up), ("unshare", "-rn", *up)):
        if shutil.which("unshare") and not subprocess.run([*before, "/bin/true"], capture_output=True).returncode:
            return before
    return ()


@contextmanager
def machines(count: int) -> Iterator[list[tuple[tuple[str, ...], str]]]:
    """So many network namespaces, each joined with this machine by a cable of its own: what to put before a
    command that runs there, and this machine's address as seen from it. None where the system doesn't allow it."""
    made = list[tuple[tuple[str, ...], str]]()
    names = [f"kb{os.getpid()}-{number}" for number in range(count)]
    try:
        for number, name in enumerate(names):
            here, there = (f"10.{88 + number}.{os.getpid() % 250}.{host}" for host in (1, 2))
            cable = f"kv{os.getpid() % 100_000}-{number}"
            inside = ("netns", "exec", name, "ip")
            if not (
                _ip("netns", "add", name)
                and _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
                and _ip("addr", "add", f"{here}/24", "dev", cable)
                and _ip("link", "set", cable, "up")
                and _ip(*inside, "addr", "add", f"{there}/24", "dev", "eth0")
                and _ip(*inside, "link", "set", "eth0", "up")
                and _ip(*inside, "link", "set", "lo", "up")
            ):
                made.clear()
                break
            made.append((("ip", "netns", "exec", name), here))
        yield made
    finally:
        for name in names:
            _ip("netns", "del", name)  # its cable goes with it


def _ip(*arguments: str) -> bool:
    return bool(shutil.which("ip")) and not subprocess.run(["ip", *arguments], capture_output=True).returncode
