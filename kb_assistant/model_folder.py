"""Describes a model on disk from its own files, and computes its fingerprint. Loads no model."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.packed_weights import PACKED, WEIGHTS, unpacked_digest

ModelKind = Literal["embedder", "chat", "reranker"]

T = TypeVar("T")

DESCRIPTION = "model.json"
INT8 = ":int8"
"""Behind an embedder's name: it embeds passages in 8-bit integers."""
FLOAT32 = ":float32"
"""Behind an embedder's name: it embeds passages in float32, whatever the processor is quicker with."""
# Most characters of an invalid value in a message.
_SHOWN = 80
_WEIGHTS = {".safetensors", ".gguf"}
_FINGERPRINTED = _WEIGHTS | {".bin", ".json", ".txt", ".model"}
# Encoders that transformers contains; others would need code from the model's folder.
_ENCODERS = frozenset(
    "albert bert camembert deberta deberta-v2 distilbert electra eurobert modernbert mpnet roberta "
    "roformer xlm-roberta xlm-roberta-xl".split()
)
_DIMENSION_KEYS = ("hidden_size", "d_model", "dim", "n_embd")


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be loaded from disk.

    Attributes:
        name: Its name for the user.
        kind: `embedder` (texts to vectors) or `chat` (writes answers).
        path: Its folder in Hugging Face layout, or its .gguf file.
        sha256: Fingerprint of its weights, tokenizer and configuration (see `weights_digest`).
        licence: SPDX name if known.
        languages: ISO codes of its best languages; empty if unknown.
        query_prefix: The embedder's prefix for questions.
        passage_prefix: The embedder's prefix for passages.
        context_tokens: Longest input it was trained for; 0 if unknown.
        longest_context: Longest input that can be set; 0 if that is context_tokens.
        template: "chatglm2" or "chatglm3" for that model's prompt format; "" if the file contains its own chat
            template.
        source: Path of the folder that its file was converted from; "" if it wasn't.
        source_sha256: Fingerprint of that folder.
        background_cosines: Mean and standard deviation of cosines between unrelated questions and passages;
            None if not measured.
    """

    name: str
    kind: ModelKind
    path: Path
    sha256: str
    licence: str = ""
    languages: tuple[str, ...] = ()
    query_prefix: str = ""
    passage_prefix: str = ""
    context_tokens: int = 0
    background_cosines: tuple[float, float] | None = None
    longest_context: int = 0
    template: Literal["", "chatglm2", "chatglm3"] = ""
    source: str = ""
    source_sha256: str = ""

    @property
    def int8(self) -> bool:
        """Whether it embeds passages in 8-bit integers."""
        return self.name.endswith(INT8)

    @property
    def base_sha256(self) -> str:
        """The fingerprint by which an adapter knows it: one for a folder and for what was converted from it."""
        return self.source_sha256 or self.sha256


def file_digest(path: Path) -> str:
    """SHA-256 of one file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def deciding_digest(path: Path) -> str:
    """SHA-256 of one file that affects a model's results; of a packed one that of the weights it stands for.

    Raises:
        ModelError: the packed file is damaged.
    """
    if path.name != PACKED:
        return file_digest(path)
    try:
        return unpacked_digest(path)
    except Exception as error:  # of many classes
        raise ModelError(
            _("{path} can't be read: {reason}.", path=path, reason=error), _("Download the model again.")
        ) from error


def weights_digest(path: Path, of_file: Callable[[Path], str] = deciding_digest) -> str:
    """SHA-256 over all files of a model that affect its results: weights, tokenizer, configuration.

    Args:
        path: A file, which gives its own digest; or a folder: digests and names of its files, sorted by name,
            without hidden ones and without the description that `ModelHome` writes.
        of_file: Computes the digest of one file.
    """
    if path.is_file():
        return of_file(path)
    whole = hashlib.sha256()
    for file in sorted(_deciding_files(path), key=lambda file: file.relative_to(path).as_posix()):
        named = file.with_name(WEIGHTS) if file.name == PACKED else file
        whole.update(f"{named.relative_to(path).as_posix()}\0{of_file(file)}\n".encode())
    return whole.hexdigest()


def _deciding_files(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        if file.suffix in _FINGERPRINTED and parts != (DESCRIPTION,) and not any(p.startswith(".") for p in parts):
            yield file


def require_space(folder: Path, wanted: int) -> None:
    """Check that this many bytes can be written into a folder.

    Raises:
        ModelError: they can't; the message says how many are free.
    """
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise ModelError(
            _(
                "{needed:,.0f} MB are needed in {folder}, {free:,.0f} MB are free.",
                needed=wanted / 1e6,
                folder=folder,
                free=free / 1e6,
            ),
            _("Make room."),
        )


def describe(path: Path, digest: Callable[[Path], str] = weights_digest) -> Model:
    """The model in the folder or .gguf file at `path`, named after it.

    Raises:
        ModelError: it isn't a usable model; the message says why.
    """
    if path.is_file() and path.suffix == ".gguf":
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise ModelError(
                    _("{path} is damaged: it doesn't start like a GGUF file.", path=path), _("Download it again.")
                )
        return Model(path.stem, "chat", path, digest(path))
    if not path.exists():
        raise ModelError(
            _("There is no model at {path}.", path=path), _("kb models list shows what is installed.")
        )
    config = read_config(path / "config.json")
    modules = (path / "modules.json").is_file()
    if not config and not modules:
        raise ModelError(
            _("{path} isn't a model: it has no config.json, and it isn't a .gguf file.", path=path),
            _(
                "Give a folder in Hugging Face layout (config.json, tokenizer.json, *.safetensors) or a .gguf "
                "file."
            ),
        )
    kind = "embedder" if modules and not _is_classifier(config, path) else _kind_of(config, path)
    _require_files(path, kind)
    prompts_file = path / "config_sentence_transformers.json"
    prompts = typed_field(prompts_file, read_config(prompts_file), "prompts", dict, {})
    query, passage, document = (
        typed_field(prompts_file, prompts, name, str, "") for name in ("query", "passage", "document")
    )
    return Model(
        name=path.name,
        kind=kind,
        path=path,
        sha256=digest(path),
        query_prefix=query,
        passage_prefix=passage or document,
        context_tokens=_context(path, config),
    )


def read_config(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a model; empty if there is no such file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            _("{path} can't be read: {reason}.", path=path, reason=error), _("Download the model again.")
        ) from error
    if not isinstance(content, dict):
        raise ModelError(_("{path} doesn't hold a JSON object.", path=path), _("Download the model again."))
    return content


def typed_field(path: Path, config: Mapping[str, Any], key: str, kind: type[T], default: T) -> T:
    """A field of a model's JSON file; `default` if it is missing or null.

    Raises:
        ModelError: it has a value of another type.
    """
    value = config.get(key)
    if value is None:
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise damaged_field(path, key, value)
    return value


def damaged_field(path: Path, key: str, value: object, hint: str = "") -> ModelError:
    """The error for an invalid value in a model's JSON file."""
    return ModelError(
        _("{path} is damaged: {key} = {value}.", path=path, key=key, value=repr(value)[:_SHOWN]),
        hint or _("Download the model again."),
    )


def _kind_of(config: dict[str, Any], path: Path) -> ModelKind:
    architectures = _architectures(config, path)
    if any(name.endswith(("ForCausalLM", "ForConditionalGeneration")) for name in architectures):
        return "chat"
    if _is_classifier(config, path):
        if len(typed_field(path / "config.json", config, "id2label", dict, {})) > 1:
            raise ModelError(
                _("{path} is a classifier.", path=path), _("Give an embedding model, a chat model or a reranker.")
            )
        return "reranker"
    model_type = typed_field(path / "config.json", config, "model_type", str, "")
    if model_type in _ENCODERS:
        return "embedder"
    raise ModelError(
        _(
            "{path} holds a model of type {type}, which is neither an embedder nor a chat model known here.",
            path=path,
            type=repr(model_type or None),
        ),
        _("An embedder made with sentence-transformers has a modules.json; a chat model can be a .gguf file."),
    )


def _is_classifier(config: dict[str, Any], path: Path) -> bool:
    return any(name.endswith("ForSequenceClassification") for name in _architectures(config, path))


def _architectures(config: dict[str, Any], path: Path) -> list[str]:
    return [str(name) for name in typed_field(path / "config.json", config, "architectures", list, [])]


def _require_files(path: Path, kind: ModelKind) -> None:
    if not any(path.glob("*.safetensors")):
        pickled = any(path.glob("*.bin")) or any(path.glob("*.pt"))
        raise ModelError(
            _("{path} has no weights in safetensors form, only pickled ones.", path=path)
            if pickled
            else _("{path} has no weights in safetensors form.", path=path),
            _("Pickled weights can run code and are never loaded: download the safetensors, or convert them."),
        )
    if kind != "chat" and not (path / "tokenizer.json").is_file():
        raise ModelError(
            _("{path} has no tokenizer.json.", path=path), _("Download the model again, with its tokenizer.json.")
        )


def _context(path: Path, config: dict[str, Any]) -> int:
    asked = path / "sentence_bert_config.json"
    for file, known, key in (
        (asked, read_config(asked), "max_seq_length"),
        (path / "config.json", config, "max_position_embeddings"),
        (path / "config.json", config, "seq_length"),
    ):
        if tokens := typed_field(file, known, key, int, 0):
            if tokens < 0:
                raise damaged_field(file, key, tokens)
            return tokens
    return 0


def embedding_dimension(path: Path) -> int:
    """Length of the vectors of an embedder, from its folder's configuration alone.

    Raises:
        ModelError: the configuration doesn't give it.
    """
    for folder in reversed(_module_folders(path / "modules.json")):
        parts = read_config(path / folder / "config.json") if folder else {}
        if isinstance(size := parts.get("out_features"), int):
            return size
    config = read_config(path / "config.json")
    for key in _DIMENSION_KEYS:
        if isinstance(size := config.get(key), int):
            return size
    raise ModelError(
        _("{path} doesn't tell the length of its vectors.", path=path / "config.json"), _("Is it an embedder?")
    )


def _module_folders(file: Path) -> list[str]:
    """The folders of an embedder's modules, in order; none if there is no such file."""
    try:
        modules = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise damaged_field(file, "modules", modules)
    return [typed_field(file, module, "path", str, "") for module in modules]
