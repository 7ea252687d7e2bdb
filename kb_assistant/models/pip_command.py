"""Runs pip as a process of its own, with the user's configuration, and watches what it writes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from kb_assistant.errors import ModelError
from kb_assistant.messages import _

_STDERR = 2
_LOOKS_EVERY_S = 0.3


def run_pip(arguments: Sequence[str], folder: Path, grown: Callable[[int], None] = lambda _: None) -> str:
    """Run pip, its temporary files in `folder`, and tell the folder's size as it grows.

    Returns:
        Why it failed, as pip says it; "" if it didn't.

    Raises:
        ModelError: there is no pip.
    """
    if importlib.util.find_spec("pip") is None:
        raise ModelError(
            _("pip is missing; it does the downloads."),
            _("{executable} -m ensurepip", executable=sys.executable),
        )
    command = [sys.executable, "-m", "pip", *arguments, "--no-input", "--disable-pip-version-check"]
    code, stderr = _run_watched(command, folder, grown)
    if code == 0:
        return ""
    lines = stderr.decode(errors="replace").strip().splitlines() or [_("exit code {code}", code=code)]
    reason = next((line for line in reversed(lines) if line.startswith("ERROR:")), lines[-1])
    if reason == "ERROR: Exception:":  # the head of a traceback, which ends with what happened
        reason = lines[-1]
    return reason.removeprefix("ERROR: ")


def _run_watched(command: list[str], folder: Path, grown: Callable[[int], None]) -> tuple[int, bytes]:
    """Exit code of a command, and what it wrote to stderr."""
    with TemporaryFile() as said:  # not in the folder, whose disk may be full
        process = subprocess.Popen(
            command, stdout=_STDERR, stderr=said, env=os.environ | {"TMPDIR": str(folder.absolute())}
        )
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOKS_EVERY_S)
                    break
                grown(_size(folder))
        finally:
            process.kill()  # nothing to end where it has ended
        said.seek(0)
        return process.returncode, said.read()


def _size(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        with suppress(OSError):  # moved meanwhile
            total += file.stat().st_size
    return total
