"""LangChain's own conformance tests over our vector store and retriever, and what they leave out."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests

from kb_assistant.adapters.retriever import KnowledgeRetriever
from kb_assistant.adapters.vectorstore import KnowledgeVectorStore
from kb_assistant.errors import EmbedderMismatch, QuestionError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from tests.fakes import HashEmbeddings
from tests.law import small_kb


def open_base(home: Path, name: str = "hash") -> KnowledgeBase:
    embedder: Any = HashEmbeddings(name)
    return KnowledgeBase(Settings(home=home, readers=1), embedder=embedder)


class TestVectorStore(VectorStoreIntegrationTests):
    """Synchronous and asynchronous: adding, replacing, deleting, getting by id, searching."""

    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Generator[VectorStore, None, None]:
        with open_base(tmp_path) as base:
            yield base.as_vectorstore()

    @staticmethod
    def get_embeddings() -> Embeddings:
        return HashEmbeddings()


class TestRetriever(RetrieversIntegrationTests):
    base: KnowledgeBase

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _base(cls, tmp_path_factory: pytest.TempPathFactory) -> Generator[None, None, None]:
        folder = tmp_path_factory.mktemp("retriever")
        docs = folder / "docs"
        docs.mkdir()
        for number in range(5):
            (docs / f"{number}.md").write_text(
                f"# Note {number}\n\nTide table of day {number}. 潮汐表。\n", "utf-8"
            )
        with open_base(folder / "home") as base:
            base.ingest(docs)
            cls.base = base
            yield

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return KnowledgeRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"kb": self.base}

    @property
    def retriever_query_example(self) -> str:
        return "tide table of day 3"


@pytest.fixture
def base(tmp_path: Path) -> Generator[KnowledgeBase, None, None]:
    with open_base(tmp_path / "home") as base:
        yield base


def test_a_retrieved_document_says_where_it_stands(base: KnowledgeBase, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Top\n\nThe tide rises.\n")
    base.ingest(tmp_path / "a.md")
    (found,) = base.as_retriever(k=1).invoke("tide")
    (hit,) = base.search("tide", 1)
    assert (found.id, found.page_content) == (hit.id, "The tide rises.")
    assert found.metadata == {
        "source": str(tmp_path / "a.md"),
        "page": None,
        "lines": [3, 3],
        "heading": "Top",
        "slide": None,
        "sheet": None,
        "attachment": None,
        "score": hit.score,
        "similarity": hit.similarity,
    }


async def test_the_retriever_works_in_an_event_loop(base: KnowledgeBase, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The tide rises.\n")
    base.ingest(tmp_path / "a.md")
    assert [document.page_content for document in await base.as_retriever().ainvoke("tide")] == ["The tide rises."]


def test_documents_and_files_are_found_alike_and_do_not_disturb_each_other(
    base: KnowledgeBase, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("The tide rises.\n")
    base.ingest(docs)
    store = base.as_vectorstore()
    store.add_documents([Document("The ferry leaves at noon.", id="ferry", metadata={"line": 3})])
    assert [hit.source for hit in base.search("ferry noon", 1)] == ["document:ferry"]
    found = {document.id: document for document in store.similarity_search("tide ferry", k=5)}
    assert found["ferry"] == Document("The ferry leaves at noon.", id="ferry", metadata={"line": 3})
    assert {document.metadata.get("source") for document in found.values()} == {None, str(docs / "a.md")}
    base.ingest(docs, prune=True)
    assert store.get_by_ids(["ferry"]), "an ingest leaves documents alone"
    store.delete()
    assert [source.path for source in base.sources()] == [str(docs / "a.md")], "and deleting leaves files alone"
    assert base.verify().sound


def test_scores_are_cosines(base: KnowledgeBase) -> None:
    store = base.as_vectorstore()
    store.add_texts(["the tide rises", "bread and butter"])
    asked, first, second = base.embedder.embed_documents(["tide rises", "the tide rises", "bread and butter"])
    ranked = store.similarity_search_with_score("tide rises", k=2)
    expected = [sum(a * b for a, b in zip(asked, told, strict=True)) for told in (first, second)]
    assert [score for _, score in ranked] == pytest.approx(sorted(expected, reverse=True), abs=1e-6)
    assert ranked[0][0].page_content == "the tide rises"


def test_equal_texts_are_two_documents_that_share_a_vector(base: KnowledgeBase) -> None:
    store = base.as_vectorstore()
    ids = store.add_texts(["the same", "the same"], [{"n": 1}, {"n": 2}])
    assert sorted(document.metadata["n"] for document in store.similarity_search("same", k=2)) == [1, 2]
    assert len(store.similarity_search("same", k=1)) == 1
    store.delete([ids[0]])
    assert [document.metadata for document in store.similarity_search("same", k=2)] == [{"n": 2}]


def test_ids_keep_their_order_when_documents_are_fetched(base: KnowledgeBase) -> None:
    store = base.as_vectorstore()
    store.add_texts(["one", "two", "three"], ids=["1", "2", "3"])
    assert [document.id for document in store.get_by_ids(["3", "1", "missing", "2"])] == ["3", "1", "2"]


def test_lists_of_different_lengths_are_an_error_and_nothing_is_added(base: KnowledgeBase) -> None:
    store = base.as_vectorstore()
    with pytest.raises(ValueError):
        store.add_texts(["one", "two"], [{}])
    with pytest.raises(ValueError):
        store.add_texts(["one", "two"], ids=["1"])
    assert base.sources() == []


def test_no_texts_are_no_error(base: KnowledgeBase) -> None:
    store = base.as_vectorstore()
    assert store.add_texts([]) == []
    assert store.similarity_search("anything") == []
    assert store.delete(["missing"]) is True
    assert store.get_by_ids([]) == []


def test_metadata_is_whatever_json_holds(base: KnowledgeBase) -> None:
    store = base.as_vectorstore()
    metadata = {"标题": "潮汐", "list": [1, None, {"deep": True}], "score": 0.5}
    store.add_texts(["潮汐表"], [metadata], ids=["潮"])
    assert store.get_by_ids(["潮"])[0].metadata == metadata


def test_it_can_be_made_from_texts(base: KnowledgeBase) -> None:
    store = KnowledgeVectorStore.from_texts(["one tide"], base.embedder, [{"n": 1}], kb=base, ids=["a"])
    assert store.embeddings is base.embedder
    assert store.similarity_search("tide")[0].id == "a"
    with pytest.raises(ValueError, match="kb=KnowledgeBase"):
        KnowledgeVectorStore.from_texts(["one"], HashEmbeddings(), kb=base)
    with pytest.raises(ValueError, match="kb=KnowledgeBase"):
        KnowledgeVectorStore.from_texts(["one"], base.embedder)


def test_another_embedder_cannot_write_into_it(base: KnowledgeBase) -> None:
    base.as_vectorstore().add_texts(["one"])
    with open_base(base.settings.home, "other") as other, pytest.raises(EmbedderMismatch):
        other.as_vectorstore()


def test_the_retriever_of_a_vector_store_works_too(base: KnowledgeBase) -> None:
    store = base.as_vectorstore()
    store.add_texts([f"tide number {number}" for number in range(6)])
    assert len(store.as_retriever(search_kwargs={"k": 3}).invoke("tide")) == 3


def test_real_vectors_find_documents_across_languages(sample_kb: KnowledgeBase) -> None:
    ranked = sample_kb.nearest("Who coordinates the exchange on the Qinglan side?", 10)
    sources = [Path(chunk.source).name for chunk, _ in ranked]
    assert "交流计划.md" in sources
    scores = [score for _, score in ranked]
    assert scores == sorted(scores, reverse=True)


def test_the_retriever_gives_documents_as_the_vector_store_does(tmp_path: Path) -> None:
    with small_kb(tmp_path / "home") as kb:
        kb.as_vectorstore().add_texts(["The pump is red."], [{"owner": "Ann", "page": 7}], ids=["pump"])
        file = tmp_path / "heron.md"
        file.write_text("The heron nests.")
        kb.ingest(file)
        for question in ("pump red", "heron nests"):
            [found] = kb.as_retriever(k=1).invoke(question)
            [(same, _)] = kb.as_vectorstore().similarity_search_with_score(question, k=1)
            scores = {"score", "similarity"}
            metadata = {name: value for name, value in found.metadata.items() if name not in scores}
            assert (found.id, found.page_content, metadata) == (same.id, same.page_content, same.metadata)
            assert scores <= found.metadata.keys()


@pytest.mark.parametrize("k", [0, -1, True, 2.5, "3"])
def test_an_impossible_k_is_an_error_wherever_it_is_asked(tmp_path: Path, k: Any) -> None:
    with small_kb(tmp_path) as kb:
        kb.add(["The pump is red."])
        for ask in (
            lambda: kb.search("pump", k),
            lambda: kb.retrieve("pump", k),
            lambda: kb.as_retriever(k),
            lambda: kb.as_retriever().invoke("pump", k=k),
            lambda: kb.as_vectorstore().similarity_search("pump", k),
        ):
            with pytest.raises(QuestionError, match="not possible"):
                ask()
        assert len(kb.search("pump", 10**30)) == 1
        assert len(kb.as_vectorstore().similarity_search("pump", 10**30)) == 1


def test_filters_hold_for_what_is_named_too(tmp_path: Path) -> None:
    """Two files with one equal text: who asks for one of them must not be given the other."""
    for folder in ("a", "b"):
        (tmp_path / "docs" / folder).mkdir(parents=True)
        (tmp_path / "docs" / folder / "same.md").write_text("The pump is serviced every spring.")
    with open_base(tmp_path / "home") as base:
        base.ingest(tmp_path / "docs")
        base.add([Document("The pump is blue.", id="blue", metadata={"author": "Li"})])
        only_b = ["path=*/b/*"]
        found = base.as_retriever(k=3, where=only_b).invoke("When is the pump serviced?")
        assert [Path(document.metadata["source"]).parent.name for document in found] == ["b"]
        store = base.as_vectorstore()
        found = store.similarity_search("pump", k=3, filter=only_b)
        assert [Path(document.metadata["source"]).parent.name for document in found] == ["b"]
        assert [document.id for document in store.similarity_search("pump", k=3, filter={"author": "Li"})] == [
            "blue"
        ]
        with pytest.raises(QuestionError):
            store.similarity_search("pump", filter=["author"])
