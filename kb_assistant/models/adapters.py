"""The adapters folder of a home: what was trained, on which model, and whether it goes with another. Loads none.

An adapter is a folder `<home>/adapters/<name>/` with an `adapter.json`. Its weights lie beside that file in peft's
form, and for llama.cpp as `adapter.gguf`. A folder elsewhere is named by its path: one made here, or a checkpoint
of ChatGLM2's own P-Tuning v2.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kb_assistant.errors import ModelError
from kb_assistant.lock import writing
from kb_assistant.messages import _
from kb_assistant.model_folder import Model, damaged_field, file_digest, read_config
from kb_assistant.models.staging import temporary
from kb_assistant.small_file import write_whole

DESCRIPTION = "adapter.json"
WEIGHTS, GGUF = "adapter_model.safetensors", "adapter.gguf"
LEARNED = "learned.txt"
"""Keys of the questions that it was trained with, a line each; they tell no words."""
FORMAT = 1

Method = Literal["lora", "prefix", "reader"]

_NAME = re.compile(r"[\w-][\w.-]{0,63}")
_RUN = ".train-"
_REMAKE = _("Train it anew, or take another adapter.")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A trained adapter on disk.

    Attributes:
        folder: Its folder, which has its name.
        method: "lora", "prefix" for P-Tuning v2, or "reader" for the answer reader (training/reader).
        base: Name of the model that it was trained on; "" if unknown.
        base_sha256: That model's fingerprint (`Model.base_sha256`); "" if unknown, as in official checkpoints.
        style: How questions became prompts in its training: "chat", "grounded", "plain", or several of them with
            commas between; "" if unknown.
        files: SHA-256 of each of its files by name.
        facts: What else is told of it: settings, data, steps, losses, date.
    """

    folder: Path
    method: Method
    base: str = ""
    base_sha256: str = ""
    style: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def sha256(self) -> str:
        """The fingerprint of its weights; of an official checkpoint, whose files may be large, its place."""
        return self.files.get(WEIGHTS, "") or str(self.folder)

    @property
    def plain(self) -> bool:
        """Whether it was trained with questions as they stand, where they have no passages."""
        styles = self.style.split(",")
        return "plain" in styles and "chat" not in styles

    def path(self, file: str) -> Path:
        """The path of one of its files, which is read once, to check it.

        Raises:
            ModelError: it is missing, or not as it was written.
        """
        path = self.folder / file
        try:
            sound = file in self.files and file_digest(path) == self.files[file]
        except OSError as error:
            raise ModelError(_("{path} can't be read: {reason}.", path=path, reason=error), _REMAKE) from error
        if not sound:
            raise ModelError(_("{path} is damaged: it isn't as it was written.", path=path), _REMAKE)
        return path

    def learned(self) -> frozenset[str]:
        """The keys of the questions that it was trained with; none if that isn't known.

        Raises:
            ModelError: the file is missing or damaged.
        """
        if LEARNED not in self.files:
            return frozenset()
        return frozenset(self.path(LEARNED).read_text(encoding="ascii").split())

    def require(self, *methods: Method) -> None:
        """Check that it is of one of these methods.

        Raises:
            ModelError: it is a reader and no adapter of a chat model, or the other way round.
        """
        if self.method in methods:
            return
        if self.method == "reader":
            raise ModelError(
                _("{name!r} is a reader, and no adapter of a chat model.", name=self.name),
                _("Use it with the setting answer_reader."),
            )
        raise ModelError(
            _("{name!r} is an adapter of a chat model, and no reader.", name=self.name),
            _("Use it with the setting adapter; kb train list shows which are readers."),
        )

    def require_base(self, model: Model) -> None:
        """Check that a model is the one that it was trained on.

        Raises:
            ModelError: it is another.
        """
        if self.base_sha256 and self.base_sha256 != model.base_sha256:
            raise ModelError(
                _(
                    "The adapter {name!r} was trained on {base!r}, and {model!r} isn't that model.",
                    name=self.name,
                    base=self.base,
                    model=model.name,
                ),
                _("Ask with --model {base}, or train an adapter on this model.", base=self.base),
            )

    def write(self) -> None:
        """Write its description into its folder.

        Raises:
            StoreError: it can't be written.
        """
        content = {
            "format": FORMAT,
            "method": self.method,
            "base": self.base,
            "base_sha256": self.base_sha256,
            "style": self.style,
            "files": dict(self.files),
            **self.facts,
        }
        write_whole(self.folder / DESCRIPTION, json.dumps(content, ensure_ascii=False, indent=2))


class AdapterHome:
    """The adapters folder of a home, created at the first write."""

    def __init__(self, home: Path) -> None:
        self.folder = home.expanduser().absolute() / "adapters"

    def trained(self) -> list[Adapter]:
        """All finished adapters by name."""
        return [_read(file.parent) for file in sorted(self.folder.glob(f"[!.]*/{DESCRIPTION}"))]

    def unfinished(self) -> list[str]:
        """Names of those whose training was interrupted. The same command goes on; `remove` frees their space."""
        return sorted(folder.name.removeprefix(_RUN) for folder in self.folder.glob(f"{_RUN}*"))

    def run_folder(self, name: str) -> Path:
        """The folder of a training that goes on or can go on: its checkpoints and its log.

        Raises:
            ModelError: the name can't be one.
        """
        return self.folder / f"{_RUN}{_checked(name)}"

    def holds(self, name: str) -> bool:
        """Whether there is a finished adapter of that name."""
        return (self.folder / _checked(name) / DESCRIPTION).is_file()

    def get(self, name_or_path: str) -> Adapter:
        """An adapter by its name, or the folder at a path; a name is never taken as a path.

        Raises:
            ModelError: there is none, or its description is damaged.
        """
        if Path(name_or_path).name != name_or_path:
            return _read(Path(name_or_path).expanduser().absolute())
        if self.holds(name_or_path):
            return _read(self.folder / name_or_path)
        if name_or_path in self.unfinished():
            raise ModelError(
                _("The adapter {name!r} isn't trained to its end yet.", name=name_or_path),
                _("Repeat its `kb train` to go on."),
            )
        raise ModelError(
            _("There is no adapter {name!r}.", name=name_or_path),
            _("See: kb train list; or give a folder's path."),
        )

    def remove(self, name: str) -> None:
        """Delete an adapter, and what an interrupted training of that name has left.

        Raises:
            ModelError: there is neither, or it can't be deleted.
            BusyError: it is being trained.
        """
        folders = [one for one in (self.folder / _checked(name), self.run_folder(name)) if one.is_dir()]
        if not folders:
            raise ModelError(_("There is no adapter {name!r}.", name=name), _("See: kb train list"))
        for folder in folders:
            with writing(folder, patience=0, what=_("the adapter {name!r}", name=name)):
                grave = temporary(self.folder)
                try:
                    folder.rename(grave)
                    shutil.rmtree(grave)
                except OSError as error:
                    raise ModelError(
                        _("{name} can't be deleted: {reason}.", name=name, reason=error),
                        _("Look at {path}.", path=self.folder),
                    ) from error


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ModelError(
            _("{name!r} can't name an adapter.", name=name),
            _("Use up to 64 letters, digits, '-', '_' or '.', not starting with '.'."),
        )
    return name


def _read(folder: Path) -> Adapter:
    """The adapter of a folder.

    Raises:
        ModelError: it holds none, or is damaged.
    """
    path = folder / DESCRIPTION
    content = read_config(path)
    if not content:
        return _official(folder)
    if content.pop("format", None) != FORMAT:
        raise ModelError(
            _("{path} is of another version of kb-assistant.", path=path),
            _("Use that version, or train the adapter anew."),
        )
    texts = {key: content.pop(key, "") for key in ("base", "base_sha256", "style")}
    method, files = content.pop("method", None), content.pop("files", None)
    for key, value in texts.items():
        if not isinstance(value, str):
            raise damaged_field(path, key, value, _REMAKE)
    known = method in ("lora", "reader")
    if not known or not texts["base_sha256"]:
        key, value = ("base_sha256", texts["base_sha256"]) if known else ("method", method)
        raise damaged_field(path, key, value, _REMAKE)
    if not isinstance(files, dict) or not all(isinstance(one, str) for one in files.values()):
        raise damaged_field(path, "files", files, _REMAKE)
    return Adapter(folder, method, files=files, facts=content, **texts)


def _official(folder: Path) -> Adapter:
    """A checkpoint of ChatGLM2's own P-Tuning v2, whose training asks plainly. Its weights are read later."""
    if any(folder.glob("pytorch_model*.bin")) or (folder / "model.safetensors").is_file():
        return Adapter(folder, "prefix", style="plain")
    raise ModelError(
        _("{folder} is no adapter: it has no {file}.", folder=folder, file=DESCRIPTION),
        _("Give a name of `kb train list`, or a folder of P-Tuning v2 with its pytorch_model.bin."),
    )
