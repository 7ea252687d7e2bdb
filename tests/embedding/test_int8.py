"""Embedding in 8-bit integers: near float32, alone or in a batch, and never in one index with it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from kb_assistant.embedding.batches import at_once
from kb_assistant.embedding.local import LocalEmbeddings
from kb_assistant.embedding.onnx_encoder import better_in_int8
from kb_assistant.errors import EmbedderMismatch, ModelError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.models.home import ModelHome
from kb_assistant.processor import multiplies_int8
from kb_assistant.settings import Settings
from tests.embedding.encoders import random_encoder

pytestmark = pytest.mark.engine

E5 = "multilingual-e5-small"
instructions = pytest.mark.skipif(not multiplies_int8(), reason="a processor with VNNI or AMX")
TEXTS = [
    "Who maintains the pump?",
    "水泵由谁维护？",
    "",
    "a",
    "The ferry leaves at noon from the eastern pier, and on Sundays an hour later.",
    "很长的段落，讲的是水泵、轮渡和钟楼。" * 90,
    "word " * 120,
]


@pytest.mark.parametrize("signed", [pytest.param(True, marks=instructions), False])
def test_vectors_are_near_those_in_float32_and_do_not_depend_on_the_batch(
    models_home: Path, monkeypatch: pytest.MonkeyPatch, signed: bool
) -> None:
    monkeypatch.setattr("kb_assistant.embedding.onnx_int8.multiplies_int8", lambda: signed)
    home = ModelHome(models_home / "models")
    plain, small = (LocalEmbeddings(home.get(name, "embedder"), "cpu") for name in (E5, f"{E5}:int8"))
    together = small.encode_passages(TEXTS)
    alone = np.concatenate([small.encode_passages([text]) for text in TEXTS])
    assert 0.9985 < (together * plain.encode_passages(TEXTS)).sum(axis=1).min() < 0.99999
    assert (together * alone).sum(axis=1).min() > 0.9999
    np.testing.assert_array_equal(small.encode_queries(TEXTS), plain.encode_queries(TEXTS))


def test_a_knowledge_base_goes_on_with_the_kind_of_vectors_it_has(models_home: Path, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(models_home / "models")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "pump.md").write_text("The pump is serviced by Marta Keel every 400 hours.\n", "utf-8")
    (tmp_path / "docs" / "ferry.md").write_text("The ferry leaves at noon.\n", "utf-8")

    def opened(embedder: str) -> KnowledgeBase:
        return KnowledgeBase(Settings(home=tmp_path, embedder=embedder, readers=1, device="cpu"))

    def kind(base: KnowledgeBase) -> str:
        with base.store.read() as snapshot:
            return str(snapshot.meta("embedder")["name"])

    with opened(f"{E5}:int8") as kb:
        assert kb.ingest(tmp_path / "docs").count("added") == 2
    (tmp_path / "docs" / "clock.md").write_text("The clock tower was built in 1911.\n", "utf-8")
    with opened(E5) as kb:
        assert "Marta Keel" in kb.search("Who services the pump?", 1)[0].text
        assert kb.ingest(tmp_path / "docs").embedded == 1
        assert kind(kb) == f"{E5}:int8"
    with opened(f"{E5}:float32") as kb:
        with pytest.raises(EmbedderMismatch) as caught:
            kb.search("Who services the pump?")
        assert f"kb rebuild --embedder {E5}:float32" in caught.value.hint
        assert f"--embedder {E5}:int8" in caught.value.hint
        kb.rebuild()
    with opened(E5) as kb:
        assert "1911" in kb.search("When was the clock tower built?", 1)[0].text
        assert kb.rebuild()
        assert kind(kb) == E5


@pytest.mark.parametrize("quicker", [True, False])
def test_the_processor_chooses_for_a_new_knowledge_base(
    models_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quicker: bool
) -> None:
    monkeypatch.setattr("kb_assistant.embedding.onnx_encoder.better_in_int8", better_in_int8)
    monkeypatch.setattr("kb_assistant.embedding.onnx_encoder.multiplies_int8", lambda: quicker)
    (tmp_path / "models").symlink_to(models_home / "models")
    with KnowledgeBase(Settings(home=tmp_path, readers=1, device="cpu")) as kb:
        assert kb.embedder.fingerprint["name"] == (f"{E5}:int8" if quicker else E5)
    with KnowledgeBase(Settings(home=tmp_path, embedder=f"{E5}:float32", device="cpu")) as kb:
        assert kb.embedder.fingerprint["name"] == E5


def test_batches_at_once_come_in_order_and_end_when_the_caller_stops() -> None:
    begun: list[int] = []

    def work(part: int) -> int:
        begun.append(part)
        time.sleep(0.002 * (part % 3))
        return part * 2

    assert list(at_once(work, range(20), 3)) == [2 * part for part in range(20)]
    begun.clear()
    results = at_once(work, range(1000), 2)
    assert next(results) == 0
    results.close()
    assert len(begun) < 10
    with pytest.raises(ZeroDivisionError):
        list(at_once(lambda part: 1 // (part - 3), range(9), 2))


def test_what_it_cannot_run_is_said_and_not_computed_otherwise(models_home: Path, tmp_path: Path) -> None:
    home = ModelHome(models_home / "models")
    made = random_encoder(tmp_path / "m", home.get(E5, "embedder"), "mpnet", {"pooling_mode_mean_tokens": True})
    embedder = LocalEmbeddings(home.get(f"{made.path}:int8", "embedder"), "cpu")
    with pytest.raises(ModelError, match="8-bit integers") as caught:
        embedder.encode_passages(["x"])
    assert ":int8" in caught.value.hint


def test_weights_that_the_runtime_refuses_are_the_reason(models_home: Path, tmp_path: Path) -> None:
    home = ModelHome(models_home / "models")
    made = random_encoder(tmp_path / "m", home.get(E5, "embedder"), "bert", {"pooling_mode_mean_tokens": True})
    weights = made.path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4096])
    embedder = LocalEmbeddings(home.get(f"{made.path}:int8", "embedder"), "cpu")
    with pytest.raises(ModelError, match="can't be loaded") as caught:
        embedder.encode_passages(["x"])
    assert ":int8" in caught.value.hint
