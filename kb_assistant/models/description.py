"""`model.json`: what a models folder knows of one of its models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from kb_assistant.model_folder import DESCRIPTION, Model, ModelKind, damaged_field, read_config
from kb_assistant.small_file import write_whole


def write_description(model: Model, folder: Path) -> None:
    """Write the `model.json` of a model into a folder; a `path` inside it becomes relative.

    Raises:
        StoreError: it can't be written.
    """
    path = model.path.relative_to(folder) if model.path.is_relative_to(folder) else model.path
    content = asdict(model) | {"path": path.as_posix()}
    write_whole(folder / DESCRIPTION, json.dumps(content, ensure_ascii=False, indent=2))


def read_description(path: Path, hint: str) -> Model:
    """The model described by a `model.json`. Its `path` is relative to the file's folder.

    Args:
        path: The file.
        hint: What to do if it is damaged.

    Raises:
        ModelError: the file is damaged; the message names the field.
    """
    content = read_config(path)
    content.pop("floor", None)  # from older versions
    if "usual_cosines" in content:  # its name in older versions
        content["background_cosines"] = content.pop("usual_cosines")
    values: dict[str, Any] = {}
    for key, possible in _DESCRIBED.items():
        values[key] = content.pop(key, _MISSING.get(key))
        if not possible(values[key]):
            raise damaged_field(path, key, values[key], hint)
    for key, value in content.items():
        raise damaged_field(path, key, value, hint)
    values |= {"path": path.parent / values["path"], "languages": tuple(values["languages"])}
    values["background_cosines"] = values["background_cosines"] and tuple(values["background_cosines"])
    return Model(**values)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _are_two_numbers(value: object) -> bool:
    return value is None or (
        isinstance(value, list) and len(value) == 2 and all(isinstance(one, int | float) for one in value)
    )


_DESCRIBED: Mapping[str, Callable[[object], bool]] = {
    "name": _is_text,
    "kind": lambda value: value in get_args(ModelKind),
    "path": _is_text,
    "sha256": _is_text,
    "licence": _is_text,
    "languages": _are_texts,
    "query_prefix": _is_text,
    "passage_prefix": _is_text,
    "context_tokens": _is_count,
    "background_cosines": _are_two_numbers,
    "longest_context": _is_count,
    "template": lambda value: value in ("", "chatglm2", "chatglm3"),
    "source": _is_text,
    "source_sha256": _is_text,
}
"""The fields of a `model.json`, and their types."""

_MISSING: Mapping[str, Any] = {
    **dict.fromkeys(("licence", "query_prefix", "passage_prefix", "template", "source", "source_sha256"), ""),
    **dict.fromkeys(("context_tokens", "longest_context"), 0),
    "languages": [],
}
"""Defaults of optional fields; the others are required."""
