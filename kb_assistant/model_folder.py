"""What a model on disk is: its description, read from its own files, and its fingerprint. Loads no model."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kb_assistant.errors import ModelError
from kb_assistant.messages import _

ModelKind = Literal["embedder", "chat", "reranker"]

DESCRIPTION = "model.json"
_WEIGHTS = {".safetensors", ".gguf"}
_FINGERPRINTED = _WEIGHTS | {".bin", ".json", ".txt", ".model"}
# Encoders that transformers brings itself; others would need code from the model's folder.
_ENCODERS = frozenset(
    "albert bert camembert deberta deberta-v2 distilbert electra eurobert modernbert mpnet roberta "
    "roformer xlm-roberta xlm-roberta-xl".split()
)
_DIMENSION_KEYS = ("hidden_size", "d_model", "dim", "n_embd")


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be loaded from disk.

    Attributes:
        name: What the user calls it.
        kind: `embedder` (texts to vectors) or `chat` (writes answers).
        path: Its folder in Hugging Face layout, or its .gguf file.
        sha256: Fingerprint of its weights, tokenizer and configuration (see `weights_digest`).
        licence: SPDX name where known.
        languages: ISO codes it is good at; empty where unknown.
        query_prefix: What the embedder wants before a question.
        passage_prefix: What the embedder wants before a passage.
        context_tokens: Longest input it was trained for; 0 where unknown.
        longest_context: Longest input that can be asked for; 0 where that is context_tokens.
        template: "chatglm2" or "chatglm3" where prompts are made as that model wants them; "" where the file
            brings its own chat template.
        usual_cosines: Mean and standard deviation of cosines between questions and passages that have nothing to
            do with each other; None where nobody measured.
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
    usual_cosines: tuple[float, float] | None = None
    longest_context: int = 0
    template: Literal["", "chatglm2", "chatglm3"] = ""


def file_digest(path: Path) -> str:
    """SHA-256 of one file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_digest(path: Path, of_file: Callable[[Path], str] = file_digest) -> str:
    """SHA-256 over all files of a model that decide its results: weights, tokenizer, configuration.

    Args:
        path: A file, whose own digest it is then; or a folder: digests and names of its files, sorted by
            name, without hidden ones and without the description that `ModelHome` writes.
        of_file: Digest of one file.
    """
    if path.is_file():
        return of_file(path)
    whole = hashlib.sha256()
    for file in sorted(_deciding_files(path), key=lambda file: file.relative_to(path).as_posix()):
        whole.update(f"{file.relative_to(path).as_posix()}\0{of_file(file)}\n".encode())
    return whole.hexdigest()


def _deciding_files(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        if file.suffix in _FINGERPRINTED and parts != (DESCRIPTION,) and not any(p.startswith(".") for p in parts):
            yield file


class DigestCache:
    """File digests remembered by path, size and time of change, so that gigabytes are read once.

    Losing the cache costs time only: it is written where that is possible and ignored where it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def weights_digest(self, path: Path) -> str:
        """`weights_digest(path)`, reading only files that changed since they were last read."""
        known = self._load()
        fresh: dict[str, list[Any]] = {}

        def of_file(file: Path) -> str:
            state = file.stat()
            key = str(file.resolve())
            match known.get(key):
                case [state.st_size, state.st_mtime_ns, str(digest)]:
                    return digest
            digest = file_digest(file)
            fresh[key] = [state.st_size, state.st_mtime_ns, digest]
            return digest

        whole = weights_digest(path, of_file)
        if fresh:
            with suppress(OSError):
                write_json(self._path, known | fresh)
        return whole

    def _load(self) -> dict[str, Any]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file such that a reader finds the old content or the new, never a part."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False, indent=2)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def require_space(folder: Path, wanted: int) -> None:
    """Make sure that so many bytes can be written into a folder.

    Raises:
        ModelError: they can't; says how many are free.
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
    """What the folder or .gguf file at `path` is, named after it.

    Raises:
        ModelError: it isn't a model that can be used, and why.
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
    kind = "embedder" if modules and not _is_classifier(config) else _kind_of(config, path)
    _require_files(path, kind)
    prompts = read_config(path / "config_sentence_transformers.json").get("prompts") or {}
    return Model(
        name=path.name,
        kind=kind,
        path=path,
        sha256=digest(path),
        query_prefix=prompts.get("query") or "",
        passage_prefix=prompts.get("passage") or prompts.get("document") or "",
        context_tokens=_context(path, config),
    )


def read_config(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a model; empty where there is no such file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(
            _("{path} can't be read: {reason}.", path=path, reason=error), _("Download the model again.")
        ) from error
    if not isinstance(content, dict):
        raise ModelError(_("{path} doesn't hold a JSON object.", path=path), _("Download the model again."))
    return content


def _kind_of(config: dict[str, Any], path: Path) -> ModelKind:
    architectures = [str(name) for name in config.get("architectures") or ()]
    if any(name.endswith(("ForCausalLM", "ForConditionalGeneration")) for name in architectures):
        return "chat"
    if _is_classifier(config):
        if len(config.get("id2label") or {"0": ""}) > 1:
            raise ModelError(
                _("{path} is a classifier.", path=path), _("Give an embedding model, a chat model or a reranker.")
            )
        return "reranker"
    model_type = config.get("model_type")
    if model_type in _ENCODERS:
        return "embedder"
    raise ModelError(
        _(
            "{path} holds a model of type {type}, which is neither an embedder nor a chat model known here.",
            path=path,
            type=repr(model_type),
        ),
        _("An embedder made with sentence-transformers has a modules.json; a chat model can be a .gguf file."),
    )


def _is_classifier(config: dict[str, Any]) -> bool:
    return any(str(name).endswith("ForSequenceClassification") for name in config.get("architectures") or ())


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
    wanted = read_config(path / "sentence_bert_config.json").get("max_seq_length")
    tokens = wanted or config.get("max_position_embeddings") or config.get("seq_length") or 0
    return tokens if isinstance(tokens, int) else 0


def embedding_dimension(path: Path) -> int:
    """Length of the vectors of an embedder's folder, from its configuration alone.

    Raises:
        ModelError: the configuration doesn't tell.
    """
    try:
        modules = json.loads((path / "modules.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        modules = []
    for module in reversed(modules):
        parts = read_config(path / module["path"] / "config.json") if module.get("path") else {}
        if isinstance(size := parts.get("out_features"), int):
            return size
    config = read_config(path / "config.json")
    for key in _DIMENSION_KEYS:
        if isinstance(size := config.get(key), int):
            return size
    raise ModelError(
        _("{path} doesn't tell the length of its vectors.", path=path / "config.json"), _("Is it an embedder?")
    )
