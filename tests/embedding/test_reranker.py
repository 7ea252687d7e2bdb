"""Reranking with a real, tiny cross-encoder: its own order, its bounds, its errors. It was never trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import BertProcessing
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from kb_assistant.embedding.reranker import BATCH, RERANKED, Reranker
from kb_assistant.errors import ModelError
from kb_assistant.evaluate.corpus import fill, open_corpus
from kb_assistant.evaluate.datasets import read_set
from kb_assistant.evaluate.run import evaluate
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings
from kb_assistant.types import Turn
from tests.evaluate.sets import write_set
from tests.fakes import HashEmbeddings
from tests.waiting import PATIENCE, ProcessorTime

pytestmark = pytest.mark.engine

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *"the tide rises bread oven bell tower rings noon how does it".split(),
]
FILES = {
    "tides.md": "The tide rises at noon.",
    "bread.md": "Bread rises in the oven.",
    "bell.md": "The bell tower rings at noon.",
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models") / "tiny-reranker"
    torch.manual_seed(3)
    config = BertConfig(vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=32, max_position_embeddings=64, num_labels=1)  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(made)
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()  # type: ignore[assignment]
    tokenizer.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))  # type: ignore[assignment]
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=64,
    ).save_pretrained(made)  # fmt: skip
    return made


def base(tmp_path: Path, **settings: Any) -> KnowledgeBase:
    docs = tmp_path / "docs"
    docs.mkdir(exist_ok=True)
    for name, text in FILES.items():
        (docs / name).write_text(text)
    embedder: Any = HashEmbeddings()
    kb = KnowledgeBase(Settings(home=tmp_path / "home", readers=1, device="cpu", **settings), embedder=embedder)
    kb.ingest(docs)
    return kb


def test_the_order_is_the_models_own(tmp_path: Path, folder: Path) -> None:
    from sentence_transformers import CrossEncoder

    question = "how does the tide rises"
    own = CrossEncoder(str(folder), device="cpu").predict([(question, text) for text in FILES.values()])
    wanted = [list(FILES)[place] for place in np.argsort(-own)]
    with base(tmp_path, reranker=str(folder)) as kb:
        found = kb.retrieve(question, 3)
    assert [Path(hit.source).name for hit in found.hits] == wanted
    assert [hit.score for hit in found.hits] == pytest.approx(sorted(own, reverse=True), abs=1e-5)
    assert "rerank" in found.seconds
    with base(tmp_path) as kb:
        assert "rerank" not in kb.retrieve(question, 3).seconds


def test_its_gain_is_measured(tmp_path: Path, folder: Path) -> None:
    data = read_set(write_set(tmp_path / "set"))
    embedder: Any = HashEmbeddings()

    def measured(home: str, **settings: Any) -> dict[str, Any]:
        with open_corpus(data, Settings(home=tmp_path / home, device="cpu", **settings), embedder) as kb:
            fill(kb, data)
            return {found.way.name: found.values for found in evaluate(data, kb, depths=(1,)).ways}

    plain, reranked = measured("plain"), measured("reranked", reranker=str(folder))
    assert reranked.keys() - plain.keys() == {"not reranked"}
    assert reranked["not reranked"] == plain["kb"]
    assert reranked["kb"] != plain["kb"]


def test_a_follow_up_is_read_with_the_question_before(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(Reranker, "scores", lambda _, question, texts: read.append(question) or [0.0] * len(texts))
    with base(tmp_path, reranker=str(folder)) as kb:
        kb.search("how does it", history=[Turn("the bell tower", "rings")])
    assert read == ["the bell tower how does it"]


def test_it_stops_when_its_time_is_up_and_the_rest_keeps_its_order(folder: Path) -> None:
    model = ModelHome(folder.parent / "home").get(str(folder), "reranker")
    assert len(Reranker(model, "cpu", seconds=PATIENCE).scores("tide", ["bread"] * 99)) == RERANKED
    assert len(Reranker(model, "cpu", seconds=0).scores("tide", ["bread"] * 99)) == BATCH
    assert Reranker(model, "cpu").scores("tide", []) == []


def test_what_was_not_read_comes_after_what_was(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reranker, "scores", lambda *_: [-7.0])
    with base(tmp_path, reranker=str(folder)) as kb:
        hits = kb.search("tide noon bell", 3)
    with base(tmp_path) as kb:
        assert [hit.source for hit in kb.search("tide noon bell", 3)] == [hit.source for hit in hits]
    assert [hit.score for hit in hits] == [-7.0, -8.0, -9.0]


def test_a_reranker_is_a_kind_of_model(tmp_path: Path, folder: Path) -> None:
    home = ModelHome(tmp_path / "models")
    assert home.add(folder, "tiny").kind == "reranker"
    with pytest.raises(ModelError, match="not an embedder but a reranker"):
        home.get("tiny", "embedder")


def test_a_classifier_of_many_classes_is_none(tmp_path: Path, folder: Path) -> None:
    made = tmp_path / "classifier"
    made.mkdir()
    for file in folder.iterdir():
        (made / file.name).write_bytes(file.read_bytes())
    config = json.loads((made / "config.json").read_text())
    (made / "config.json").write_text(json.dumps(config | {"id2label": {"0": "good", "1": "bad"}}))
    with pytest.raises(ModelError, match="is a classifier"):
        ModelHome(tmp_path / "models").get(str(made), "reranker")


def test_a_damaged_one_is_said(tmp_path: Path, folder: Path) -> None:
    made = tmp_path / "damaged"
    made.mkdir()
    for file in folder.iterdir():
        (made / file.name).write_bytes(file.read_bytes())
    model = ModelHome(tmp_path / "models").get(str(made), "reranker")
    (made / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="can't be loaded") as caught:
        Reranker(model, "cpu").scores("tide", ["bread"])
    assert "reranker" in caught.value.hint


def test_time_is_bounded_by_batches(folder: Path) -> None:
    model = ModelHome(folder.parent / "home").get(str(folder), "reranker")
    reranker = Reranker(model, "cpu", seconds=0.0)
    reranker.scores("tide", ["warm up"])
    clock = ProcessorTime()
    reranker.scores("tide", ["bread " * 50] * RERANKED)
    assert clock.seconds < 5
