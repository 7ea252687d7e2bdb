"""Questions by ONNX Runtime against the same models by sentence-transformers and torch."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kb_assistant.embedding.local import LocalEmbeddings
from kb_assistant.embedding.onnx_encoder import Shape
from kb_assistant.model_folder import Model
from kb_assistant.models.home import ModelHome

pytestmark = pytest.mark.engine

E5 = "multilingual-e5-small"
TEXTS = ["Who maintains the pump?", "水泵由谁维护？", "", "a", "lone \udcff", "很长的问题。" * 400, "word " * 700]


def both(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """The texts as questions, and as torch embeds them with the same prefix."""
    asked = LocalEmbeddings(model, device="cpu").encode_queries(TEXTS)
    as_passages = replace(model, passage_prefix=model.query_prefix)
    return asked, LocalEmbeddings(as_passages, device="cpu", few=0).encode_passages(TEXTS)


@pytest.fixture
def e5(models_home: Path) -> Model:
    return ModelHome(models_home / "models").get(E5, "embedder")


def small(folder: Path, e5: Model, kind: str, pooling: dict[str, Any], **config: Any) -> Model:
    """A random encoder in sentence-transformers' layout, with e5's tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(1)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40}
    made = AutoConfig.for_model(
        kind, vocab_size=250_037, max_position_embeddings=140, pad_token_id=1, **sizes | config
    )
    AutoModel.from_config(made).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "modules.json", "2_Normalize"):
        source = e5.path / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 24} | pooling))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 128, "do_lower_case": false}')
    return replace(e5, path=folder, query_prefix="ask: ", context_tokens=128)


def test_the_default_model_gives_the_same_vectors(e5: Model) -> None:
    asked, expected = both(e5)
    np.testing.assert_allclose(asked, expected, atol=2e-6)


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
    model = small(tmp_path, e5, kind, pooling)
    assert Shape.read(model.path) is not None
    asked, expected = both(model)
    np.testing.assert_allclose(asked, expected, atol=2e-6)


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
    model = small(tmp_path, e5, kind, pooling, **config)
    assert Shape.read(model.path) is None
    asked, expected = both(model)
    np.testing.assert_allclose(asked, expected, atol=2e-6)
