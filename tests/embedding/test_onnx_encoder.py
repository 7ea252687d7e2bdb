"""Questions by ONNX Runtime against the same models by sentence-transformers and torch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kb_assistant.embedding.local import LocalEmbeddings
from kb_assistant.embedding.shape import Shape
from kb_assistant.errors import ModelError
from kb_assistant.model_folder import Model
from kb_assistant.models.home import ModelHome
from tests.cosines import assert_same_vectors
from tests.embedding.encoders import random_encoder

pytestmark = pytest.mark.engine

E5 = "multilingual-e5-small"
TEXTS = ["Who maintains the pump?", "水泵由谁维护？", "", "a", "lone \udcff", "很长的问题。" * 400, "word " * 700]


def both(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """The texts as questions and as passages in batches; and twice as torch embeds them, with the same prefix."""
    as_passages = replace(model, passage_prefix=model.query_prefix)
    by_onnx = LocalEmbeddings(as_passages, device="cpu")
    found = np.concatenate([by_onnx.encode_queries(TEXTS), by_onnx.encode_passages(TEXTS)])
    expected = LocalEmbeddings(as_passages, device="cpu", by_torch=True).encode_passages(TEXTS)
    return found, np.concatenate([expected, expected])


@pytest.fixture
def e5(models_home: Path) -> Model:
    return ModelHome(models_home / "models").get(E5, "embedder")


@pytest.mark.vectors
def test_the_default_model_gives_the_same_vectors(e5: Model) -> None:
    asked, expected = both(e5)
    assert_same_vectors(asked, expected)


@pytest.mark.vectors
@pytest.mark.parametrize(
    ("kind", "pooling"),
    [
        ("bert", {"pooling_mode_mean_tokens": True}),
        ("bert", {"pooling_mode": "mean"}),
        ("xlm-roberta", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}),
        ("xlm-roberta", {"pooling_mode": "mean"}),
    ],
)
def test_other_encoders_do_too(tmp_path: Path, e5: Model, kind: str, pooling: dict[str, Any]) -> None:
    model = random_encoder(tmp_path / "model", e5, kind, pooling)
    assert Shape.read(model.path) is not None
    asked, expected = both(model)
    assert_same_vectors(asked, expected)


@pytest.mark.vectors
@pytest.mark.parametrize(
    ("kind", "pooling", "config"),
    [
        ("bert", {"pooling_mode_max_tokens": True}, {}),
        ("bert", {"pooling_mode_mean_tokens": True, "include_prompt": False}, {}),
        ("bert", {"pooling_mode_mean_tokens": True}, {"hidden_act": "relu"}),
        ("mpnet", {"pooling_mode_mean_tokens": True}, {}),
    ],
)
def test_what_it_cannot_run_is_left_to_torch(
    tmp_path: Path, e5: Model, kind: str, pooling: dict[str, Any], config: dict[str, Any]
) -> None:
    model = random_encoder(tmp_path / "model", e5, kind, pooling, **config)
    assert Shape.read(model.path) is None
    asked, expected = both(model)
    assert_same_vectors(asked, expected)


@pytest.mark.vectors
@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
def test_what_config_json_leaves_out_is_transformers_default(tmp_path: Path, e5: Model, kind: str) -> None:
    model = random_encoder(
        tmp_path / "model", e5, kind, {"pooling_mode": "mean"}, num_attention_heads=12, layer_norm_eps=1e-12
    )
    file = model.path / "config.json"
    config = json.loads(file.read_text())
    for key in ("num_attention_heads", "layer_norm_eps", "hidden_act"):
        del config[key]
    file.write_text(json.dumps(config))
    assert Shape.read(model.path) is not None
    asked, expected = both(model)
    assert_same_vectors(asked, expected)


@pytest.mark.parametrize(("name", "content"), [("1_Pooling/config.json", "[]"), ("modules.json", '[{"idx": 0}]')])
def test_an_odd_folder_is_a_model_error(tmp_path: Path, e5: Model, name: str, content: str) -> None:
    model = random_encoder(tmp_path / "model", e5, "bert", {"pooling_mode": "mean"})
    (model.path / name).write_text(content)
    with pytest.raises(ModelError, match="can't be loaded"):
        LocalEmbeddings(model, device="cpu").encode_queries(["x"])
