"""Small text files: read as editors save them, and written completely or not at all, so that no change is lost."""

from __future__ import annotations

import codecs
import json
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from kb_assistant.errors import StoreError, hint_for
from kb_assistant.lock import writing
from kb_assistant.messages import _

_LOCK_S = 10.0
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode_text(data: bytes) -> str:
    """The text of a file that a person wrote, with the line ends of its editor: UTF-8, or UTF-16 or UTF-32, by its
    mark, which isn't part of the text, or by its zero bytes.

    Raises:
        ValueError: it has another encoding; says in which line.
    """
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    if not mark and b"\0" in data[:2]:
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: len(mark) + error.start].count(b"\n") + 1
        raise ValueError(
            _("line {line} isn't UTF-8, as when an editor saves as ANSI (GBK, Big5, Windows-1252)", line=line)
        ) from error


def update_text(
    path: Path, change: Callable[[str | None], str | None], *, what: str, mode: int | None = None
) -> None:
    """Read a file, change its text and write it; no other thread or process does so meanwhile.

    Args:
        change: Given the text (None without a file), returns the new one, or None to leave the file unchanged.
        what: What is in the file, for the message.
        mode: Permissions of a new file; None leaves them to the umask.

    Raises:
        BusyError: others write it for longer than ten seconds.
        StoreError: it can't be read or written.
        Exception: what `change` raises; the file stays as it is.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    with writing(path.parent, _LOCK_S, what, name=f".{path.stem}"):
        try:
            before = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            before = None
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(
                _("{path} can't be read: {reason}.", path=path, reason=error),
                _("Check the file, or move it away."),
            ) from error
        after = change(before)
        if after is not None and after != before:
            write_whole(path, after, mode)


def update_json(
    path: Path, change: Callable[[Any], Any], *, what: str, mode: int | None = None, indent: int | None = None
) -> None:
    """The same for the JSON value in a file; None without a file, and to leave it unchanged.

    Raises:
        BusyError, StoreError: as for `update_text`.
        ValueError: the file holds no JSON.
        Exception: what `change` raises; the file stays as it is.
    """
    update_text(path, json_change(change, indent), what=what, mode=mode)


def json_change(change: Callable[[Any], Any], indent: int | None = None) -> Callable[[str | None], str | None]:
    """A change of a JSON value as one of its text."""

    def changed(before: str | None) -> str | None:
        value = change(None if before is None else json.loads(before))
        return None if value is None else json.dumps(value, ensure_ascii=False, indent=indent)

    return changed


def write_whole(path: Path, text: str, mode: int | None = None) -> None:
    """Write a file so that a reader, a kill or a power cut finds the old text or the new one. A link stays a link.

    Args:
        mode: Permissions of a new file; None leaves them to the umask.

    Raises:
        StoreError: the disk is full, or the folder can't be written.
    """
    target = Path(os.path.realpath(path))
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with suppress(FileNotFoundError):
            mode = target.stat().st_mode & 0o7777
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        if mode is not None:
            part.chmod(mode)
        part.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> StoreError:
    """The error for a file or folder that can't be written."""
    return StoreError(
        _("{path} can't be written: {reason}.", path=path, reason=error),
        hint_for(error, _("Check the folder's permissions.")),
    )


def _sync_folder(folder: Path) -> None:
    """Make a new name in the folder survive a power cut, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
