"""One writer at a time for a knowledge base: a file lock that the system frees when its holder dies."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kb_assistant.errors import BusyError, StoreError


@contextmanager
def writing(folder: Path, patience: float, what: str = "this knowledge base") -> Iterator[None]:
    """Hold the writer's lock of the knowledge base, or whatever else is written, in `folder`.

    Args:
        patience: Seconds to wait for another writer.
        what: What is written, for the message.

    Raises:
        BusyError: another process still writes after that time; the message says which.
        StoreError: the folder can't be written.
    """
    from filelock import FileLock, Timeout

    holder = folder / "writer.json"
    lock = FileLock(folder / "writer.lock")
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise BusyError(
            f"Another process is writing to {what}{_describe(holder)}.",
            "Wait until it is done, or stop it; searching works meanwhile.",
        ) from None
    except OSError as error:
        raise StoreError(
            f"{folder} can't be written: {error.strerror}.",
            "Check the folder's permissions, or choose another --home.",
        ) from error
    try:
        with suppress(OSError):  # the note is a courtesy to the one who waits
            holder.write_text(json.dumps({"pid": os.getpid(), "since": time.strftime("%H:%M:%S")}))
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _describe(holder: Path) -> str:
    try:
        who = json.loads(holder.read_text())
        return f": process {who['pid']}, since {who['since']}"
    except (OSError, ValueError, KeyError):
        return ""
