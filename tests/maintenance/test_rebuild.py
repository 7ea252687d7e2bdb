"""Another embedder: told, then rebuilt beside the old vectors, which serve until the swap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kb_assistant.errors import EmbedderMismatch
from kb_assistant.knowledge import KnowledgeBase
from tests.fakes import HashEmbeddings
from tests.law import answers, contents, small_kb

pytestmark = pytest.mark.usefixtures("either_store")

COUNT = 700


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    for number in range(7):
        text = "\n\n".join(
            f"# Part {i}\n\nValve {number} of circuit {i} is number {number * 100 + i}." for i in range(COUNT // 7)
        )
        (folder / f"{number}.md").write_text(text)
    return folder


@pytest.fixture
def old(tmp_path: Path, docs: Path) -> Iterator[KnowledgeBase]:
    with small_kb(tmp_path / "home", HashEmbeddings("old")) as kb:
        assert kb.ingest(docs).embedded == COUNT
        yield kb


def other(kb: KnowledgeBase) -> KnowledgeBase:
    """The same knowledge base with another embedder, of another dimension."""
    return small_kb(kb.settings.home, HashEmbeddings("new", dimension=32))


def test_another_embedder_is_told_with_the_command(old: KnowledgeBase, docs: Path) -> None:
    with other(old) as new:
        for use in (lambda: new.search("valve"), lambda: new.ingest(docs), lambda: new.nearest("valve", 3)):
            with pytest.raises(EmbedderMismatch, match="'old', not with 'new'") as caught:
                use()
            assert "`kb rebuild --embedder new`" in caught.value.hint
    assert old.verify().faults == ()


def test_a_rebuild_swaps_the_vectors_and_equals_a_fresh_ingest(
    old: KnowledgeBase, docs: Path, tmp_path: Path
) -> None:
    assert old.search("valve 3")
    told: list[tuple[int, int]] = []
    with other(old) as new, small_kb(tmp_path / "fresh", HashEmbeddings("new", dimension=32)) as fresh:
        assert new.rebuild(lambda done, total: told.append((done, total)))
        assert told == [(256, COUNT), (512, COUNT), (COUNT, COUNT)]
        assert new.verify().faults == ()
        report = new.ingest(docs)
        assert (report.unchanged, report.embedded) == (7, 0)
        fresh.ingest(docs)
        assert contents(new) == contents(fresh)
        assert answers(new, ["valve 3"]) == answers(fresh, ["valve 3"])
        with pytest.raises(EmbedderMismatch, match="'new', not with 'old'"):
            old.search("valve")


def test_a_stopped_rebuild_goes_on_where_it_was_while_the_old_one_serves(old: KnowledgeBase) -> None:
    before = answers(old, ["circuit 7"])
    with other(old) as new:
        assert not new.rebuild(stop=lambda: new.embedder.embedded >= 256)
        assert answers(old, ["circuit 7"]) == before
        assert old.verify().faults == ()
        with pytest.raises(EmbedderMismatch):
            new.search("valve")
        done = new.embedder.embedded
        assert done == 256
    with other(old) as again:
        assert again.rebuild()
        assert again.embedder.embedded == COUNT - done
        assert again.verify().faults == ()


def test_a_stopped_rebuild_takes_in_what_the_old_embedder_ingested_meanwhile(
    old: KnowledgeBase, docs: Path, tmp_path: Path
) -> None:
    more = tmp_path / "more"
    more.mkdir()
    with other(old) as new:
        new.rebuild(stop=lambda: new.embedder.embedded >= 256)
        old.remove([docs / "0.md"])
        (more / "extra.md").write_text("A new valve came meanwhile.")
        assert old.ingest(more).added == 1
        assert new.rebuild()
        assert new.verify().faults == ()
        counts = dict(zip(("vectors", "keywords"), contents(new)["counts"], strict=True))
        assert counts == {"vectors": (COUNT - 99,), "keywords": (COUNT - 99,)}


def test_a_rebuild_for_a_third_embedder_starts_anew(old: KnowledgeBase) -> None:
    with other(old) as new, small_kb(old.settings.home, HashEmbeddings("third")) as third:
        new.rebuild(stop=lambda: new.embedder.embedded >= 256)
        assert third.rebuild()
        assert third.embedder.embedded == COUNT
        assert third.verify().faults == ()
