"""Commands that run without a network."""

from __future__ import annotations

import shutil
import subprocess
import sys
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
