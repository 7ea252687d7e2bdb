"""`kb bundle`: a folder that installs the assistant on a machine without a network.

It holds wheels, pins with hashes, models, a script and a list of SHA-256. The list comes last: without it the
bundle isn't complete, and the script refuses it.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from kb_assistant.errors import BundleError
from kb_assistant.lock import writing
from kb_assistant.maintenance.wheelhouse import Wheel, check_extras, download, pinned, project_wheel, resolve
from kb_assistant.messages import _
from kb_assistant.model_folder import DESCRIPTION, Model, file_digest, require_space
from kb_assistant.models.description import write_description
from kb_assistant.small_file import write_whole

SUMS = "SHA256SUMS"
EXTRAS = ("cpu", "llama", "ui")
_MARK = "bundle.json"
_WORK = ".work"
_FORM = 1


@dataclass(frozen=True, slots=True)
class Bundle:
    """A complete bundle.

    Attributes:
        folder: Where it lies.
        version: Of kb-assistant.
        extras: Its extras.
        python: The Python that it is for, "3.11".
        system: The system that it is for, as `uname -sm` says it.
        wheels: How many.
        models: Their names.
        bytes: Size of all files.
        sha256: Of the list of digests: who compares it by another way knows that nobody has changed the bundle.
    """

    folder: Path
    version: str
    extras: tuple[str, ...]
    python: str
    system: str
    wheels: int
    models: tuple[str, ...]
    bytes: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"folder": str(self.folder)}


def make_bundle(
    folder: Path,
    models: Sequence[Model],
    extras: Sequence[str] = EXTRAS,
    *,
    wheel: Path | None = None,
    constraints: Path | None = None,
    on_message: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Bundle:
    """Fill a folder with all that an installation needs; a begun or older bundle is brought up to date.

    Args:
        folder: New, empty, or a bundle.
        models: Models to take along; those that lie elsewhere are copied.
        extras: Extras of kb-assistant.
        wheel: The wheel of kb-assistant; None: of the program that runs.
        constraints: Versions, in pip's form; None: those installed here.
        on_message: Called with what happens, a sentence at a time.
        on_progress: Called with the share that is done of what was said last, from 0 to 1.

    Raises:
        BundleError: the folder holds something else, is full, or something can't be had.
        BusyError: another process fills it.
    """
    folder = folder.expanduser().absolute()
    with _claimed(folder), writing(folder / _WORK, patience=0, what=_("the bundle {path}", path=folder)):
        require_space(folder, sum(_size(model.path) for model in models))
        packed = _fill_wheels(folder, extras, wheel, constraints, on_message, on_progress)
        _fill_models(folder, models, on_message, on_progress)
        own = packed[0]
        facts = {
            "bundle": _FORM,
            "version": own.version,
            "extras": list(extras),
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "system": f"{platform.system()} {platform.machine()}",
            "models": [model.name for model in models],
        }
        write_whole(folder / "requirements.txt", _requirements(packed, extras))
        write_whole(folder / "install.sh", files("kb_assistant.maintenance").joinpath("install.sh").read_text())
        write_whole(folder / _MARK, json.dumps(facts, indent=2))
        for part in folder.glob(".*.*"):  # of a killed run: see write_whole
            part.unlink()
        on_message(_("Listing digests"))
        write_whole(folder / SUMS, _sums(folder, on_progress))
    shutil.rmtree(folder / _WORK, ignore_errors=True)
    return Bundle(
        folder=folder,
        version=own.version,
        extras=tuple(extras),
        python=str(facts["python"]),
        system=str(facts["system"]),
        wheels=len(packed),
        models=tuple(model.name for model in models),
        bytes=_size(folder),
        sha256=file_digest(folder / SUMS),
    )


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Mark the folder as a bundle in the making. Errors of the system say what to do."""
    try:
        if folder.exists() and not folder.is_dir():
            raise BundleError(_("{path} isn't a folder.", path=folder), _("Name another."))
        if folder.is_dir() and not (folder / _MARK).is_file() and any(map(_is_foreign, folder.iterdir())):
            raise BundleError(
                _("{path} holds something else than a bundle.", path=folder), _("Name a new or an empty folder.")
            )
        (folder / _WORK).mkdir(parents=True, exist_ok=True)
        if not (folder / _MARK).is_file():
            write_whole(folder / _MARK, json.dumps({"bundle": _FORM}))
        (folder / SUMS).unlink(missing_ok=True)
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise BundleError(
            _("{path} can't be filled: {reason}.", path=folder, reason=error),
            _("Make room, then run it again: it goes on.") if full else _("Look at the folder's permissions."),
        ) from error


def _is_foreign(entry: Path) -> bool:
    """Whether an entry isn't what a run leaves that is killed before it has marked the folder."""
    return entry.name != _WORK and not entry.name.startswith(f".{_MARK}.")


def _fill_wheels(
    folder: Path,
    extras: Sequence[str],
    given: Path | None,
    constraints: Path | None,
    on_message: Callable[[str], None],
    on_progress: Callable[[float], None],
) -> list[Wheel]:
    """All wheels, the project's own first."""
    wheels, work = folder / "wheels", folder / _WORK
    wheels.mkdir(exist_ok=True)
    on_message(_("Packing kb-assistant"))
    own = project_wheel(given, wheels, work)
    check_extras(own, extras)
    on_message(_("Choosing packages"))
    chosen = resolve(own, extras, constraints, work)
    on_message(_("Downloading {count} packages", count=len(chosen)))
    download(chosen, wheels, work, on_progress)
    _keep_only(wheels, {own.name, *(one.file for one in chosen)})
    return [pinned(own), *(replace(one, sha256=file_digest(wheels / one.file)) for one in chosen)]


def _fill_models(
    folder: Path,
    models: Sequence[Model],
    on_message: Callable[[str], None],
    on_progress: Callable[[float], None],
) -> None:
    (folder / "models").mkdir(exist_ok=True)
    _keep_only(folder / "models", {model.name for model in models})
    for model in models:
        on_message(_("Copying the model {name}", name=model.name))
        _copy_model(model, folder / "models" / model.name, on_progress)


def _copy_model(model: Model, folder: Path, on_progress: Callable[[float], None]) -> None:
    """Its files, without hidden ones, and its description. What is there with the same content stays."""
    root = model.path if model.path.is_dir() else model.path.parent
    wanted = _files(model.path) if model.path.is_dir() else [model.path]
    all_bytes, done = sum(file.stat().st_size for file in wanted) or 1, 0
    for file in wanted:
        target = folder / file.relative_to(root)
        if not target.is_file() or file_digest(target) != file_digest(file):
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name}.part")
            shutil.copyfile(file, part)
            part.replace(target)
        done += file.stat().st_size
        on_progress(done / all_bytes)
    copied = folder if model.path.is_dir() else folder / model.path.name
    write_description(replace(model, path=copied), folder)
    kept = {(folder / file.relative_to(root)) for file in wanted} | {folder / DESCRIPTION}
    for file in folder.rglob("*"):  # hidden ones, too: a killed run leaves parts
        if file.is_file() and file not in kept:
            file.unlink()


def _files(folder: Path) -> list[Path]:
    """All files below a folder but hidden ones, by name.

    Raises:
        BundleError: a name that a list of digests can't hold.
    """
    found = []
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts):
            if "\n" in file.name or "\\" in file.name:
                raise BundleError(_("{name!r} can't be listed.", name=file.name), _("Rename it."))
            found.append(file)
    return found


def _keep_only(folder: Path, names: set[str]) -> None:
    """Remove what an earlier run put into a folder of the bundle and this one doesn't."""
    for entry in folder.iterdir():
        if entry.name not in names:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _requirements(wheels: Sequence[Wheel], extras: Sequence[str]) -> str:
    """Every package with its version and hash: pip takes these wheels and no others."""
    own, *others = wheels
    names = [f"{own.name}[{','.join(extras)}]" if extras else own.name, *(one.name for one in others)]
    return "".join(
        f"{name}=={one.version} --hash=sha256:{one.sha256}\n" for name, one in zip(names, wheels, strict=True)
    )


def _sums(folder: Path, on_progress: Callable[[float], None]) -> str:
    """What `sha256sum -c` reads. All is on the disk before the list is."""
    lines, listed = [], [file for file in _files(folder) if file != folder / SUMS]
    all_bytes, done = sum(file.stat().st_size for file in listed) or 1, 0
    for file in listed:
        with file.open("rb+") as opened:
            os.fsync(opened.fileno())
        lines.append(f"{file_digest(file)}  {file.relative_to(folder).as_posix()}\n")
        done += file.stat().st_size
        on_progress(done / all_bytes)
    return "".join(lines)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in _files(path))
