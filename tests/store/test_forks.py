"""A process that forks after a search: its children search and write, or are told why they can't."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from tests.law import small_kb
from tests.processes import in_a_fork


@pytest.fixture
def kb(tmp_path: Path) -> Iterator[KnowledgeBase]:
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(40):
        (docs / f"{number}.md").write_text(f"Valve {number} stays in circuit {number * 7}.")
    with small_kb(tmp_path / "home") as base:
        base.ingest(docs)
        base.search("valve 3")
        yield base


def test_a_child_searches_and_writes_and_its_parent_goes_on(kb: KnowledgeBase, tmp_path: Path) -> None:
    (tmp_path / "docs" / "new.md").write_text("The heron nests.")

    def child() -> str:
        added = kb.ingest(tmp_path / "docs").added
        return f"{added} {kb.search('heron nests')[0].text} {kb.search('valve 4')[0].text}"

    assert in_a_fork(child) == "1 The heron nests. Valve 4 stays in circuit 28."
    assert kb.search("heron nests")[0].text == "The heron nests."
    assert kb.verify().faults == ()


_shared: KnowledgeBase


@pytest.fixture
def shared(kb: KnowledgeBase) -> KnowledgeBase:
    """Children get it by forking, not by pickle."""
    global _shared
    _shared = kb
    return kb


def first_of(question: str) -> str:
    return _shared.search(question)[0].text


def test_a_child_of_multiprocessing_searches(shared: KnowledgeBase) -> None:
    assert shared.search("valve 1")
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map_async(first_of, [f"valve {n}" for n in range(8)], chunksize=1)
        assert found.get(60) == [f"Valve {n} stays in circuit {n * 7}." for n in range(8)]


def test_the_parent_may_close_while_the_child_goes_on(kb: KnowledgeBase) -> None:
    """The parent's last connection moves the log into the file: it must see that the child uses it."""

    def child() -> str:
        kb.search("valve 5")
        grandchild = in_a_fork(lambda: kb.close() or "closed")
        kb.add(["The tide turns."])
        return f"{grandchild} {kb.search('tide turns')[0].text}"

    assert in_a_fork(child) == "closed The tide turns."
    assert kb.search("tide turns")[0].text == "The tide turns."


def test_a_fork_waits_for_searches_in_other_threads(kb: KnowledgeBase) -> None:
    end = threading.Event()

    def search() -> None:
        while not end.is_set():
            kb.search("valve 6")

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(4):
            assert in_a_fork(lambda n=number: kb.search(f"valve {n}")[0].text).startswith(f"Valve {number} ")  # type: ignore[misc]
    finally:
        end.set()
        for thread in threads:
            thread.join()


def test_a_fork_within_a_read_is_refused_in_words(kb: KnowledgeBase) -> None:
    with kb.store.read() as snapshot:
        assert "forked while" in in_a_fork(lambda: kb.search("valve 7")[0].text)
        assert "forked while" in in_a_fork(lambda: KnowledgeBase(kb.settings).sources()[0].path)
        assert snapshot.counts()["sources"] == 40
    assert in_a_fork(lambda: kb.search("valve 7")[0].text) == "Valve 7 stays in circuit 49."


def test_a_child_embeds_with_a_real_model_that_its_parent_used(home: Path) -> None:
    with KnowledgeBase(Settings(home=home, model="extract", readers=1)) as kb:
        kb.add(["The heron nests in the reeds.", "The pump is red."])
        assert kb.search("Where do birds breed?")[0].text == "The heron nests in the reeds."
        texts = in_a_fork(
            lambda: "|".join(kb.search(question)[0].text for question in ("What colour is the pump?", "birds")),
            120,
        )
        assert texts == "The pump is red.|The heron nests in the reeds."
        assert "red" in in_a_fork(lambda: "".join(kb.ask("What colour is the pump?")), 120)


@pytest.mark.slow
def test_a_child_embeds_with_torch_that_its_parent_used(home: Path) -> None:
    with KnowledgeBase(Settings(home=home, model="extract", readers=1)) as kb:
        kb.add([f"Text {number} is about the number {number}." for number in range(100)])  # more than ONNX takes
        assert in_a_fork(lambda: str(kb.add([f"Other text {n}." for n in range(100)]).added), 240) == "100"
