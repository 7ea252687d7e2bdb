"""The folders that a knowledge base is synchronized with, and the folder of its uploads.

Uploads lie beside the knowledge base, not in it: a rename must not change their paths. Machines that serve the
same knowledge bases share the folder of all uploads (the setting `uploads`) under one path.
"""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from kb_assistant.errors import StoreError
from kb_assistant.messages import _
from kb_assistant.settings import Settings
from kb_assistant.store.home import HomeStore, update_json
from kb_assistant.store.opening import open_home

MOST_NAME_BYTES = 180
MOST_DEPTH = 12

LIST = "folders.json"
_UPLOADS = re.compile(r"[0-9a-f]{32}")
_UNFIT = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one knowledge base.

    Attributes:
        uploads: Folder of the uploaded files; managed by this program.
        watched: The user's own folders, absolute.
        left_out: Files in them that aren't synchronized, absolute.
    """

    uploads: Path
    watched: tuple[Path, ...] = ()
    left_out: tuple[Path, ...] = ()


def folders_of(settings: Settings) -> Folders:
    """The folders of the knowledge base named by the settings; the first call chooses the folder for uploads.

    Raises:
        StoreError: the list is damaged or can't be written, or there is no such knowledge base.
    """
    home, name = _list_of(settings)
    try:
        written = home.text(name)
        if written is not None:
            return _folders(settings, json.loads(written.text))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(home, name, error) from error
    return _update(settings, lambda folders: folders)


def left_out(settings: Settings) -> tuple[Path, ...]:
    """Files of watched folders that aren't synchronized; none where there is no list yet.

    Raises:
        StoreError: the list is damaged.
    """
    home, name = _list_of(settings)
    return () if home.text(name) is None else folders_of(settings).left_out


def watch_folder(settings: Settings, folder: str) -> Path:
    """Add a watched folder. Returns it as an absolute path.

    Raises:
        StoreError: there is no such folder.
    """
    path = Path(folder.strip()).expanduser()
    if not path.is_absolute() or not path.is_dir():
        raise StoreError(
            _("There is no folder {folder!r} on this machine.", folder=folder.strip()), _("Give its whole path.")
        )
    _update(settings, lambda now: now if path in now.watched else replace(now, watched=(*now.watched, path)))
    return path


def unwatch_folder(settings: Settings, folder: Path) -> None:
    """Stop watching a folder. Its sources stay until they are removed."""

    def without(now: Folders) -> Folders:
        watched = tuple(path for path in now.watched if path != folder)
        return replace(now, watched=watched, left_out=tuple(_within(now.left_out, watched)))

    _update(settings, without)


def leave_out(settings: Settings, files: Iterable[Path]) -> None:
    """Stop synchronizing single files of watched folders; others are ignored."""
    given = list(files)

    def with_these(now: Folders) -> Folders:
        return replace(now, left_out=tuple(dict.fromkeys((*now.left_out, *_within(given, now.watched)))))

    if list(_within(given, folders_of(settings).watched)):
        _update(settings, with_these)


def take_in(settings: Settings, files: Iterable[Path]) -> None:
    """Synchronize such files again."""
    given = frozenset(files)
    if given & set(folders_of(settings).left_out):
        _update(settings, lambda now: replace(now, left_out=tuple(set(now.left_out) - given)))


def _within(files: Iterable[Path], watched: Collection[Path]) -> Iterator[Path]:
    return (file for file in files if any(file.is_relative_to(folder) for folder in watched))


def put_uploads(settings: Settings, files: Iterable[tuple[str, bytes]]) -> list[Path]:
    """Save files that were uploaded together, under distinct_names; else see put_upload."""
    given = list(files)
    names = distinct_names(name for name, _data in given)
    return [put_upload(settings, name, data) for name, (_name, data) in zip(names, given, strict=True)]


def distinct_names(names: Iterable[str]) -> list[str]:
    """The safe names of files that come together. Equal ones, ignoring case, get numbers."""
    free: dict[str, str] = {}
    for name in names:
        given = PurePosixPath(safe_name(name))
        number, one = 1, given
        while str(one).casefold() in free:
            number += 1
            one = given.with_name(f"{given.stem} ({number}){given.suffix}")
        free[str(one).casefold()] = str(one)
    return list(free.values())


def free_name(settings: Settings, name: str) -> str:
    """The safe name of a file, with a number if there is an upload of that name."""
    place, given = folders_of(settings).uploads, PurePosixPath(safe_name(name))
    number, one = 1, given
    while (place / one).exists():
        number += 1
        one = given.with_name(f"{given.stem} ({number}){given.suffix}")
    return str(one)


def put_upload(settings: Settings, name: str, data: bytes) -> Path:
    """Save an uploaded file under a safe name, replacing a file of that name. Returns its path.

    Raises:
        StoreError: it can't be written.
    """
    path = folders_of(settings).uploads / safe_name(name)
    part = path.with_name(f".part-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise StoreError(
            _("{path} can't be saved: {reason}.", path=path.name, reason=error), _("Free some space.")
        ) from error
    return path


def drop_uploads(settings: Settings, paths: list[str]) -> None:
    """Delete the files that were uploaded; other files are left alone."""
    uploads = folders_of(settings).uploads
    for path in map(Path, paths):
        if path.is_relative_to(uploads) and ".." not in path.parts:
            with suppress(OSError):
                path.unlink()


def delete_uploads(settings: Settings, moved_to: str = "") -> None:
    """Delete all files uploaded to the knowledge base; none if the list is damaged.

    Args:
        moved_to: Where the list is among what the home keeps, if the knowledge base was set aside.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        home, name = _list_of(settings)
        written = home.text(f"{moved_to}/{LIST}" if moved_to else name)
        name = json.loads(written.text)["uploads"] if written else ""
        if _UPLOADS.fullmatch(name):
            shutil.rmtree(settings.uploads_dir / name, ignore_errors=True)


def safe_name(name: str) -> str:
    """A relative path that is valid on any system and can't leave its folder.

    >>> safe_name("../../etc/passwd")
    'etc/passwd'
    """
    parts = [_safe_part(part) for part in PurePosixPath(name.replace("\\", "/")).parts]
    kept = [part for part in parts if part][-MOST_DEPTH:]
    return "/".join(kept) or "unnamed"


def _safe_part(part: str) -> str:
    """One part of a path, without control characters, marks of writing direction, and leading dots."""
    plain = unicodedata.normalize("NFC", part.encode("utf-8", "replace").decode())
    plain = "".join(c for c in plain if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    plain = _UNFIT.sub("_", plain.replace("/", "_")).strip(" ").lstrip(".").rstrip(". ")
    if _RESERVED.fullmatch(plain):
        plain = f"_{plain}"
    suffix = PurePosixPath(plain).suffix
    stem = plain.removesuffix(suffix)
    while len(f"{stem}{suffix}".encode()) > MOST_NAME_BYTES and stem:
        stem = stem[:-1]
    return f"{stem}{suffix}" if stem else ""


def _folders(settings: Settings, value: Any) -> Folders:
    uploads = settings.uploads_dir / Path(value["uploads"]).name
    return Folders(uploads, *(tuple(map(Path, value.get(name, ()))) for name in ("kept", "left_out")))


def _update(settings: Settings, change: Callable[[Folders], Folders]) -> Folders:
    """Change the list, created if missing. Returns the new list."""
    (home, name), after = _list_of(settings), []
    if not home.holds(settings.kb):
        raise StoreError(_("There is no knowledge base {name!r}.", name=settings.kb), _("Make it first."))

    def changed(value: Any) -> Any:
        fresh = Folders(settings.uploads_dir / uuid.uuid4().hex)
        now = change(fresh if value is None else _folders(settings, value))
        after.append(now)
        lists = {"kept": [*map(str, now.watched)], "left_out": sorted(map(str, now.left_out))}
        return {"uploads": now.uploads.name} | {
            name: some for name, some in lists.items() if some or name == "kept"
        }

    try:
        update_json(home, name, changed, what=_("the list of folders"))
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(home, name, error) from error
    return after[0]


def _list_of(settings: Settings) -> tuple[HomeStore, str]:
    """What the home keeps, and the name of the list of folders there."""
    return open_home(settings.store, settings.home), f"kbs/{settings.kb}/{LIST}"


def _damaged(home: HomeStore, name: str, error: Exception) -> StoreError:
    return StoreError(
        _("{path} can't be read: {reason}.", path=home.place_of(name), reason=error),
        _("Delete it, and name your folders again."),
    )
