"""Two doors at once, for each public writer: threads and processes lose, mix and double nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document

from kb_assistant import KnowledgeBase
from kb_assistant.errors import EmbedderMismatch, StoreError
from kb_assistant.retrieval.result import Thresholds
from kb_assistant.settings import Settings, write_setting
from kb_assistant.workspace import folders
from kb_assistant.workspace.access import Access
from kb_assistant.workspace.chats import ChatStore
from tests.fakes import HashEmbeddings
from tests.law import small_kb
from tests.processes import ROOT

WORKERS = 6
EACH = 5
PATIENCE_S = 60


@pytest.fixture
def kb(tmp_path: Path) -> Iterator[KnowledgeBase]:
    with small_kb(tmp_path / "home", lock_seconds=PATIENCE_S) as base:
        base.add(["The first text."])
        yield base


def in_threads(*works: Callable[[], Any]) -> list[Any]:
    """What each gives; all begin at the same moment."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        start.wait(60)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(run, work) for work in works]]


def in_processes(home: Path, count: int, code: str) -> list[subprocess.Popen[str]]:
    """Programs that run `code` with a KnowledgeBase `kb` of that home and their number `me`."""
    begin = (
        "import sys\nfrom pathlib import Path\nfrom tests.law import small_kb\nme = sys.argv[2]\n"
        f"kb = small_kb(Path(sys.argv[1]), lock_seconds={PATIENCE_S})\n"
    )
    return [
        subprocess.Popen([sys.executable, "-c", begin + code, str(home), f"p{n}"], cwd=ROOT, text=True)
        for n in range(count)
    ]


def ended(programs: list[subprocess.Popen[str]]) -> None:
    assert [program.wait(240) for program in programs] == [0] * len(programs)


def names(kb: KnowledgeBase) -> set[str]:
    return {source.path.removeprefix("document:") for source in kb.sources()}


def test_six_threads_of_one_object_add_what_they_have(kb: KnowledgeBase) -> None:
    """With the usual patience, and though each waits for all others."""

    def add(me: int) -> Callable[[], None]:
        def work() -> None:
            for number in range(EACH):
                kb.add([Document(f"Note {number} of writer {me}.", id=f"{me}-{number}")])

        return work

    in_threads(*map(add, range(WORKERS)))
    assert names(kb) >= {f"{me}-{number}" for me in range(WORKERS) for number in range(EACH)}
    assert len(kb.sources()) == WORKERS * EACH + 1
    assert kb.verify().faults == ()


def test_every_writer_of_documents_at_once(kb: KnowledgeBase, tmp_path: Path) -> None:
    """Ingest, watch, add, the vector store's add and delete, remove, rebuild, repair; threads and processes."""
    docs, watched = tmp_path / "docs", tmp_path / "watched"
    for folder in (docs, watched):
        folder.mkdir()
        for number in range(EACH):
            (folder / f"{number}.md").write_text(f"Paper {number} of {folder.name}.")
    vectors = kb.as_vectorstore()
    vectors.add_texts([f"Leaf {n}." for n in range(EACH)], ids=[f"leaf{n}" for n in range(EACH)])
    kb.add([Document(f"Husk {n}.", id=f"husk{n}") for n in range(EACH)])
    programs = in_processes(
        tmp_path / "home",
        2,
        f"for n in range({EACH}):\n"
        "    kb.as_vectorstore().add_texts([f'Grain {n} of {me}.'], ids=[f'{me}-{n}'])\n",
    )
    seen = threading.Event()

    def watch() -> None:
        for _ in kb.watch([watched], stop=seen.is_set):
            seen.set()

    in_threads(
        lambda: [kb.ingest(docs) for _ in range(EACH)],
        watch,
        lambda: [kb.add([Document(f"Note {n}.", id=f"note{n}")]) for n in range(EACH)],
        lambda: [vectors.add_texts([f"Card {n}."], ids=[f"card{n}"]) for n in range(EACH)],
        lambda: [vectors.delete([f"leaf{n}"]) for n in range(EACH)],
        lambda: [kb.remove([f"document:husk{n}"]) for n in range(EACH)],
        lambda: [kb.rebuild() for _ in range(2)],
        lambda: [kb.verify(repair=True) for _ in range(2)],
        lambda: kb.keep_thresholds(Thresholds(0.2, 0.4)),
    )
    ended(programs)
    files = {str(folder / f"{n}.md") for folder in (docs, watched) for n in range(EACH)}
    added = {f"{kind}{n}" for kind in ("note", "card", "p0-", "p1-") for n in range(EACH)}
    assert {name for name in names(kb) if not name.startswith(("leaf", "husk"))} >= files | added
    assert not any(name.startswith(("leaf", "husk")) for name in names(kb))
    assert len(kb.sources()) == len(files | added) + 1
    assert kb.thresholds == Thresholds(0.2, 0.4)
    assert kb.verify().faults == ()
    for text in ("Note 3.", "Card 3.", "Grain 3 of p1.", "Paper 3 of watched."):
        assert kb.search(text)[0].text == text


@pytest.mark.parametrize("dimension", [64, 32])
def test_what_was_opened_before_a_rebuild_never_mixes_its_vectors_in(tmp_path: Path, dimension: int) -> None:
    """Of the same length they would go unseen; of another they would break every search."""
    old, new = HashEmbeddings("a"), HashEmbeddings("b", dimension=dimension)
    with small_kb(tmp_path, old) as before, small_kb(tmp_path, new) as after:
        before.add(["Old text."])
        vectors = before.as_vectorstore()
        assert after.rebuild()
        for write in (
            lambda: vectors.add_texts(["Late text."]),
            lambda: before.add(["Late text."]),
            lambda: before.keep_thresholds(Thresholds(0.1, 0.2)),
        ):
            with pytest.raises(EmbedderMismatch, match=r"built with the embedder 'b'"):
                write()
        assert vectors.delete([]) is True
        assert [hit.text for hit in after.search("text")] == ["Old text."]
        assert after.verify().faults == ()
        assert after.as_vectorstore().add_texts(["New text."])
        assert after.verify().faults == ()


def test_a_transaction_takes_no_vectors_of_another_model_or_length(kb: KnowledgeBase) -> None:
    from kb_assistant.store import NewChunk, Source, Text

    text = Text("", "x")
    source = Source("/x", "", "", "", "", False, "")
    for claimed, size in (
        (None, 64),
        (HashEmbeddings("other").fingerprint, 64),
        (HashEmbeddings().fingerprint, 32),
    ):
        with pytest.raises(EmbedderMismatch), kb.store.write(claimed) as transaction:
            transaction.put_source(source, [NewChunk(text)], {text.hash: b"\0" * 4 * size})
    assert kb.verify().faults == ()
    assert "/x" not in names(kb)


def test_folders_named_at_once_are_all_kept(kb: KnowledgeBase, tmp_path: Path) -> None:
    made = [tmp_path / f"folder{n}" for n in range(16)]
    for folder in made:
        folder.mkdir()
    for folder in made[:4]:
        folders.watch_folder(kb.settings, str(folder))
    programs = in_processes(
        tmp_path / "home",
        2,
        "from kb_assistant.workspace import folders\n"
        f"for n in range(12, 16):\n"
        f"    folders.watch_folder(kb.settings, str(Path({str(tmp_path)!r}) / f'folder{{n}}'))\n",
    )
    in_threads(
        *(lambda f=folder: folders.watch_folder(kb.settings, str(f)) for folder in made[4:12]),
        *(lambda f=folder: folders.unwatch_folder(kb.settings, f) for folder in made[:4]),
    )
    ended(programs)
    found = folders.folders_of(kb.settings)
    assert sorted(found.watched) == sorted(made[4:])


def test_users_added_and_removed_at_once_are_as_asked(tmp_path: Path) -> None:
    access = Access(tmp_path)
    for number in range(4):
        access.add(f"old{number}")
    tokens = in_threads(
        *(lambda n=number: access.add(f"user{n}") for number in range(8)),
        *(lambda n=number: access.remove(f"old{n}") for number in range(4)),
    )
    assert [user.name for user in access.users()] == [f"user{n}" for n in range(8)]
    assert [access.check(token).name for token in tokens[:8]] == [f"user{n}" for n in range(8)]  # type: ignore[union-attr]
    assert tokens[8:] == [True] * 4
    assert access.file.stat().st_mode & 0o777 == 0o600


def test_settings_written_at_once_are_all_kept(tmp_path: Path) -> None:
    values = {"k": 7, "seed": 3, "threads": 2, "overlap": 1, "max_tokens": 99, "readers": 2, "temperature": 0.5}
    (tmp_path / "kb.toml").write_text("# Mine.\n")
    in_threads(*(lambda n=name, v=value: write_setting(tmp_path, n, v) for name, value in values.items()))
    settings = Settings.load(home=tmp_path)
    assert {name: getattr(settings, name) for name in values} == values
    assert (tmp_path / "kb.toml").read_text().startswith("# Mine.")


def test_conversations_written_at_once_are_all_kept(tmp_path: Path) -> None:
    store = ChatStore(tmp_path / "chats.sqlite")
    shared = store.create("ann", "default")

    def talk(me: int) -> Callable[[], None]:
        def work() -> None:
            own = store.create(f"user{me}", "default")
            for number in range(EACH):
                for chat in (own, shared):
                    turn = store.begin(chat.id, f"{me} {number}?")
                    store.save(turn, f"{me} {number}.", "done", {})

        return work

    in_threads(*map(talk, range(WORKERS)))
    for me in range(WORKERS):
        [own] = store.of(f"user{me}")
        assert [turn.answer for turn in store.turns(own.id)] == [f"{me} {n}." for n in range(EACH)]
    turns = store.turns(shared.id)
    assert sorted(turn.question for turn in turns) == sorted(
        f"{m} {n}?" for m in range(WORKERS) for n in range(EACH)
    )
    assert all(turn.answer == turn.question.replace("?", ".") for turn in turns)


def test_models_are_opened_once_however_many_threads_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Python 3.12, whose cached_property holds no lock."""
    opened: list[object] = []

    def slowly(*_: object) -> HashEmbeddings:
        threading.Event().wait(0.2)
        opened.append(1)
        return HashEmbeddings()

    monkeypatch.setattr("kb_assistant.embedding.local.open_embeddings", slowly)
    monkeypatch.setattr("kb_assistant.models.home.ModelHome.get", lambda *_: None)
    base = KnowledgeBase(Settings(home=tmp_path, embedder="any:float32"))
    found = in_threads(*[lambda: base.embedder] * WORKERS)
    assert len(opened) == len(set(map(id, found))) == 1


def test_a_base_that_was_deleted_while_a_writer_waited_is_not_half_made(kb: KnowledgeBase) -> None:
    from kb_assistant.workspace.bases import delete_base

    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with kb.writing_documents():
            inside.set()
            go_on.wait(60)

    with ThreadPoolExecutor(3) as pool:
        holding = pool.submit(hold)
        assert inside.wait(60)
        deleting = pool.submit(delete_base, kb.settings)
        threading.Event().wait(0.2)
        adding = pool.submit(kb.add, ["Too late."])
        threading.Event().wait(0.2)
        go_on.set()
        holding.result()
        deleting.result()
        with pytest.raises(StoreError, match=r"no knowledge base|no folder"):
            adding.result()
    assert not kb.settings.kb_dir.exists()
    with pytest.raises(StoreError, match="no knowledge base"):
        kb.search("first")


def test_the_lists_of_two_jobs_at_once_are_one(kb: KnowledgeBase) -> None:
    from kb_assistant.workspace.jobs import Jobs

    one, two = Jobs(), Jobs()
    in_threads(*(lambda j=jobs: j.wait(j.verify(kb).id) for jobs in (one, two) for _ in range(4)))
    written = json.loads((kb.settings.kb_dir / "jobs.json").read_text())
    assert len(written) == 8
    assert {job["state"] for job in written} == {"done"}
