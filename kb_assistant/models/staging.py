"""Folders in the making: a model is filled in beside the installed ones and gets its name when it is complete."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.model_folder import DESCRIPTION, Model
from kb_assistant.models.description import write_description

_TEMPORARY = ".pull-"
_UNFINISHED = ".add-"
_STALE_S = 3600.0


def is_published(home: Path, name: str) -> bool:
    """Whether a models folder holds a model of this name."""
    return (home / name / DESCRIPTION).is_file()


def unfinished(home: Path, name: str) -> Path:
    """The folder of a model whose making may be interrupted and continued."""
    return home / f"{_UNFINISHED}{name}"


def unfinished_names(home: Path) -> list[str]:
    """Names of the models whose making was interrupted."""
    begun = {folder.name.removeprefix(_UNFINISHED) for folder in home.glob(f"{_UNFINISHED}*")}
    return sorted(name for name in begun if not is_published(home, name))


def temporary(home: Path) -> Path:
    """The path of a folder that is deleted soon, and an hour after the last change if this process is killed."""
    return home / f"{_TEMPORARY}{uuid.uuid4().hex}"


@contextmanager
def installing(home: Path, name: str) -> Iterator[Path]:
    """A temporary folder with `model/` in it; always deleted afterwards."""
    work = temporary(home)
    try:
        (work / "model").mkdir(parents=True)
        _clear_stale(home)
        yield work
    except OSError as error:
        raise ModelError(
            _("{name} can't be installed: {reason}.", name=name, reason=error),
            _("Look at {path}.", path=home),
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def publish(model: Model, folder: Path, home: Path) -> bool:
    """Write the description, flush everything to disk, and give the folder its name.

    Returns:
        False if another process has published a model of this name meanwhile, which stays.

    Raises:
        ModelError: something else has the name.
    """
    write_description(model, folder)
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())
    try:
        folder.rename(home / model.name)
    except OSError as error:
        if is_published(home, model.name):
            return False
        raise ModelError(_("{path} is in the way.", path=home / model.name), _("Move it away.")) from error
    return True


def _clear_stale(home: Path) -> None:
    """Delete leftovers of a killed pull. Unlike a running one they haven't changed for an hour."""
    for left in home.glob(f"{_TEMPORARY}*"):
        changed = max((file.lstat().st_mtime for file in [left, *left.rglob("*")]), default=0.0)
        if time.time() - changed > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)
