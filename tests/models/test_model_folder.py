"""Odd values in the JSON files of a model: a sentence that names file and field."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import ModelError
from kb_assistant.maintenance.doctor import examine
from kb_assistant.model_folder import describe, embedding_dimension
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings

CONFIG = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 8}
CLASSIFIER = {"architectures": ["BertForSequenceClassification"]}


def folder_with(folder: Path, **files: object) -> Path:
    """The least that counts as an embedder, with these contents in its JSON files."""
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "tokenizer.json").write_text("{}")
    for name, content in ({"config": CONFIG} | files).items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("file", "content", "field"),
    [
        ("config", CONFIG | {"architectures": 5}, "architectures = 5"),
        ("config", CONFIG | {"architectures": "BertModel"}, "architectures = 'BertModel'"),
        ("config", CONFIG | {"model_type": []}, r"model_type = \[\]"),
        ("config", CONFIG | CLASSIFIER | {"id2label": 3}, "id2label = 3"),
        ("config", CONFIG | {"max_position_embeddings": "many"}, "max_position_embeddings = 'many'"),
        ("config", CONFIG | {"max_position_embeddings": -512}, "max_position_embeddings = -512"),
        ("sentence_bert_config", {"max_seq_length": True}, "max_seq_length = True"),
        ("config_sentence_transformers", {"prompts": ["query"]}, r"prompts = \['query'\]"),
        ("config_sentence_transformers", {"prompts": {"query": 5}}, "query = 5"),
    ],
)
def test_an_odd_field_of_a_folder_is_named(tmp_path: Path, file: str, content: object, field: str) -> None:
    folder = folder_with(tmp_path / "m", **{file: content})
    with pytest.raises(ModelError, match=rf"{file}\.json is damaged: {field}") as caught:
        describe(folder)
    assert caught.value.hint


@pytest.mark.parametrize("modules", [{"a": 1}, ["Transformer"], [{"path": 5}]])
def test_odd_modules_are_named(tmp_path: Path, modules: object) -> None:
    with pytest.raises(ModelError, match=r"modules\.json is damaged: (modules|path) = "):
        embedding_dimension(folder_with(tmp_path / "m", modules=modules))


def test_json_nested_without_end_is_damaged(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "m")
    (folder / "config.json").write_text('{"a":' + "[" * 100_000)
    with pytest.raises(ModelError, match=r"config\.json can't be read"):
        describe(folder)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", None),
        ("kind", "poet"),
        ("path", 5),
        ("sha256", []),
        ("languages", "en"),
        ("languages", [1]),
        ("context_tokens", "many"),
        ("longest_context", -1),
        ("background_cosines", [1]),
        ("template", "chatglm4"),
        ("colour", "red"),
    ],
)
def test_an_odd_field_of_a_description_is_named(tmp_path: Path, field: str, value: Any) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF and more")
    home = ModelHome(tmp_path / "models")
    home.add(tmp_path / "m.gguf")
    file = tmp_path / "models" / "m" / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))
    for use in (home.installed, lambda: home.get("m", "chat")):
        with pytest.raises(ModelError, match=rf"model\.json is damaged: {field} = ") as caught:
            use()
        assert caught.value.hint == f"kb models rm m --home {tmp_path}"
    found = {finding.subject: finding for finding in examine(Settings(home=tmp_path, model="auto"))}
    assert found["chat model"].state == "broken"
    assert f"{field} = " in found["chat model"].detail
    home.remove("m")
    assert home.installed() == []


def test_what_is_missing_from_an_older_description_has_its_usual_value(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF and more")
    home = ModelHome(tmp_path / "models")
    added = home.add(tmp_path / "m.gguf")
    file = tmp_path / "models" / "m" / "model.json"
    kept = {
        key: value
        for key, value in json.loads(file.read_text()).items()
        if key in ("name", "kind", "path", "sha256")
    }
    file.write_text(json.dumps(kept | {"floor": 0.5, "usual_cosines": [0.7, 0.04]}))
    assert home.get("m", "chat") == replace(added, background_cosines=(0.7, 0.04))
