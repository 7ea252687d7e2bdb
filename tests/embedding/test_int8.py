"""Embedding in 8-bit integers: near float32, alone or in a batch, and never in one index with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kb_assistant.embedding.local import LocalEmbeddings
from kb_assistant.errors import EmbedderMismatch, ModelError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings
from tests.embedding.encoders import random_encoder

pytestmark = pytest.mark.engine

E5 = "multilingual-e5-small"
TEXTS = [
    "Who maintains the pump?",
    "水泵由谁维护？",
    "",
    "a",
    "The ferry leaves at noon from the eastern pier, and on Sundays an hour later.",
    "很长的段落，讲的是水泵、轮渡和钟楼。" * 90,
    "word " * 120,
]


def test_vectors_are_near_those_in_float32_and_do_not_depend_on_the_batch(models_home: Path) -> None:
    home = ModelHome(models_home / "models")
    plain, small = (LocalEmbeddings(home.get(name, "embedder"), "cpu") for name in (E5, f"{E5}:int8"))
    together = small.encode_passages(TEXTS)
    alone = np.concatenate([small.encode_passages([text]) for text in TEXTS])
    assert 0.997 < (together * plain.encode_passages(TEXTS)).sum(axis=1).min() < 0.99999
    assert (together * alone).sum(axis=1).min() > 0.9999
    np.testing.assert_array_equal(small.encode_queries(TEXTS), plain.encode_queries(TEXTS))


def test_a_knowledge_base_holds_one_kind_of_vectors(models_home: Path, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(models_home / "models")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "pump.md").write_text("The pump is serviced by Marta Keel every 400 hours.\n", "utf-8")
    (tmp_path / "docs" / "ferry.md").write_text("The ferry leaves at noon.\n", "utf-8")
    with KnowledgeBase(Settings(home=tmp_path, embedder=f"{E5}:int8", readers=1, device="cpu")) as kb:
        assert kb.ingest(tmp_path / "docs").count("added") == 2
        assert "Marta Keel" in kb.search("Who services the pump?", 1)[0].text
    with KnowledgeBase(Settings(home=tmp_path, readers=1, device="cpu")) as kb:
        with pytest.raises(EmbedderMismatch) as caught:
            kb.search("Who services the pump?")
        assert f"--embedder {E5}:int8" in caught.value.hint
        kb.rebuild()
        assert "Marta Keel" in kb.search("Who services the pump?", 1)[0].text


def test_what_it_cannot_run_is_said_and_not_computed_otherwise(models_home: Path, tmp_path: Path) -> None:
    home = ModelHome(models_home / "models")
    made = random_encoder(tmp_path / "m", home.get(E5, "embedder"), "mpnet", {"pooling_mode_mean_tokens": True})
    embedder = LocalEmbeddings(home.get(f"{made.path}:int8", "embedder"), "cpu")
    with pytest.raises(ModelError, match="8-bit integers") as caught:
        embedder.encode_passages(["x"])
    assert ":int8" in caught.value.hint
