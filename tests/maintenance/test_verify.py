"""Damage: never a wrong passage, never a foreign exception; `verify` sees it, repair and an ingest heal it."""

from __future__ import annotations

import random
import shutil
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import KBError
from kb_assistant.knowledge import KnowledgeBase
from tests.law import answers, contents, small_kb

QUESTIONS = ["valve circuit", "水泵 检查", "ridge station 1957", "item 3"]


@dataclass
class Sound:
    """A knowledge base on disk as it should be: its files' bytes, and all that is in it."""

    root: Path
    docs: Path
    database: bytes
    cache: bytes
    contents: dict[str, Any]
    answers: dict[str, Any]

    @property
    def passages(self) -> set[tuple[str, str]]:
        return {(chunk[1].body, path) for path, chunks in self.contents["chunks"].items() for chunk in chunks}

    def restore(self, home: Path, database: bytes | None = None, cache: bytes | None = None) -> KnowledgeBase:
        """A knowledge base in a new home, with these bytes in place of the sound ones."""
        kb = small_kb(home)
        kb.settings.kb_dir.mkdir(parents=True)
        (kb.settings.kb_dir / "kb.sqlite").write_bytes(self.database if database is None else database)
        (kb.settings.kb_dir / "index.cache").write_bytes(self.cache if cache is None else cache)
        return kb


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    root = tmp_path_factory.mktemp("sound")
    docs = root / "docs"
    docs.mkdir()
    for number in range(10):
        paragraphs = [
            f"Valve {number}-{place} belongs to circuit {number * place}. 水泵由维修组每周检查 {number} 次。 "
            f"The station on the ridge was founded in {1950 + place}, item {number}."
            for place in range(number % 4 + 1)
        ]
        (docs / f"{number}.md").write_text(f"# Part {number}\n\n" + "\n\n".join(paragraphs))
    shutil.copy(docs / "3.md", docs / "copy.md")
    (docs / "empty.txt").write_text("")
    (docs / "broken.docx").write_bytes(b"PK junk")
    with small_kb(root / "home") as kb:
        kb.ingest(docs)
        (docs / "9.md").unlink()
        kb.ingest(docs)
        kept, found = contents(kb), answers(kb, QUESTIONS)
        folder = kb.settings.kb_dir
    assert not (folder / "kb.sqlite-wal").exists(), "closed, all is in the one file"
    return Sound(
        root, docs, (folder / "kb.sqlite").read_bytes(), (folder / "index.cache").read_bytes(), kept, found
    )


def search_all(kb: KnowledgeBase, sound: Sound) -> None:
    """Whatever was damaged: right passages from the right files, or an error meant for users."""
    for question in QUESTIONS:
        try:
            hits = kb.search(question, 50)
        except KBError:
            continue
        parts = [(part, hit) for hit in hits for part in hit.text.split("\n")]  # neighbours are joined
        assert {(part, source) for part, hit in parts for source in (hit.source, *hit.also_in)} <= sound.passages


def check_damage(sound: Sound, home: Path, database: bytes) -> bool:
    """Search, verify, repair, ingest. Returns whether the damage was seen."""
    with sound.restore(home, database) as kb:
        search_all(kb, sound)
        try:
            faults = kb.verify().faults
            kept = contents(kb) if not faults else None
        except KBError as error:
            pytest.fail(f"verify raised {error}")
        assert faults or kept == sound.contents, "verify saw nothing"
        verdict = kb.verify(repair=True)
        assert verdict.sound
        assert verdict.repaired == bool(faults)
        search_all(kb, sound)
        kb.ingest(sound.docs)
        assert kb.verify().faults == ()
        assert contents(kb) == sound.contents
        assert answers(kb, QUESTIONS) == sound.answers
    return bool(faults)


def flipped(data: bytes, offset: int, bits: int) -> bytes:
    return data[:offset] + bytes([data[offset] ^ bits]) + data[offset + 1 :]


def flip_and_check(sound: Sound, folder: Path, seed: int, times: int) -> None:
    draw = random.Random(seed)
    used = [offset for offset, byte in enumerate(sound.database) if byte]
    seen = 0
    for number in range(times):
        offset, bits = draw.choice(used), draw.choice([1, 2, 4, 8, 16, 32, 64, 128, 255])
        try:
            seen += check_damage(sound, folder / str(number), flipped(sound.database, offset, bits))
        except BaseException as error:
            error.add_note(f"byte {offset} xor {bits}")
            raise
        shutil.rmtree(folder / str(number))
    assert seen > times / 3


def test_flipped_bytes_never_give_a_wrong_passage_and_can_be_mended(sound: Sound, tmp_path: Path) -> None:
    flip_and_check(sound, tmp_path, seed=1, times=5)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_many_flipped_bytes_never_give_a_wrong_passage_and_can_be_mended(sound: Sound, tmp_path: Path) -> None:
    flip_and_check(sound, tmp_path, seed=2, times=400)


@pytest.mark.parametrize("what", ["header", "half", "nothing", "garbage", "zero pages"])
def test_a_ruined_file_is_said_to_be_so_and_can_be_mended(sound: Sound, tmp_path: Path, what: str) -> None:
    data = sound.database
    ruined = {
        "header": b"\0" * 100 + data[100:],
        "half": data[: len(data) // 2],
        "nothing": b"",
        "garbage": random.Random(0).randbytes(len(data)),
        "zero pages": data[:8192] + b"\0" * 8192 + data[16384:],
    }[what]
    assert check_damage(sound, tmp_path / "home", ruined)


@pytest.mark.parametrize("what", ["header", "half", "nothing"])
def test_an_ingest_over_a_ruined_file_says_what_to_do(sound: Sound, tmp_path: Path, what: str) -> None:
    data = {"header": b"\0" * 100 + sound.database[100:], "half": sound.database[:9000], "nothing": b""}[what]
    with sound.restore(tmp_path / "home", data) as kb:
        if what == "nothing":  # as a kill in the first moment leaves it
            kb.ingest(sound.docs)
            assert contents(kb) == sound.contents
        else:
            with pytest.raises(KBError) as caught:
                kb.ingest(sound.docs)
            assert "kb verify" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE texts SET body = body || '!' WHERE id = 2", "differ from their hash"),
        ("UPDATE vectors SET vector = zeroblob(256) WHERE text_id = 2", "missing or altered"),
        ("DELETE FROM vectors WHERE text_id = 2", "missing or altered"),
        ("DELETE FROM chunks WHERE text_id = 2", "list of chunks was altered"),
        ("UPDATE chunks SET text_id = 3 WHERE text_id = 2", "list of chunks was altered"),
        ("UPDATE chunks SET first_line = 77", "list of chunks was altered"),
        ("UPDATE sources SET path = '/etc/passwd' WHERE id = 2", "list of chunks was altered"),
        ("UPDATE sources SET title = 'Other' WHERE id = 2", "list of chunks was altered"),
        ("DELETE FROM keywords WHERE rowid = 2", "not in the keyword index"),
        ("INSERT INTO keywords (rowid, tokens) VALUES (999, 'valve')", "belong to no chunk"),
        ("UPDATE keywords SET tokens = 'other words' WHERE rowid = 2", "differ from their text"),
        ("UPDATE meta SET value = '\"0\"' WHERE key = 'lineage'", "was altered"),
        ("UPDATE meta SET value = replace(value, '64', '65') WHERE key = 'embedder'", "was altered"),
    ],
)
def test_each_kind_of_disagreement_is_named_and_mended(
    sound: Sound, tmp_path: Path, change: str, fault: str
) -> None:
    (tmp_path / "x.sqlite").write_bytes(sound.database)
    with closing(sqlite3.connect(tmp_path / "x.sqlite")) as db:
        db.execute(change)
        db.commit()
    data = (tmp_path / "x.sqlite").read_bytes()
    with sound.restore(tmp_path / "seen", data) as kb:
        assert any(fault in line for line in kb.verify().faults)
    assert check_damage(sound, tmp_path / "home", data)


def test_repair_keeps_what_is_sound_and_the_next_ingest_reads_only_the_rest(sound: Sound, tmp_path: Path) -> None:
    with sound.restore(tmp_path / "home") as kb:
        with closing(sqlite3.connect(kb.settings.kb_dir / "kb.sqlite")) as db:
            db.execute("UPDATE texts SET body = 'lies' WHERE body LIKE 'Valve 2-1 %'")
            db.commit()
        verdict = kb.verify(repair=True)
        assert [Path(path).name for path in verdict.to_reingest] == ["2.md"]
        report = kb.ingest(sound.docs)
        assert {Path(row.path).name for row in report if row.status == "added"} == {"2.md"}
        assert (report.embedded, kb.verify().faults) == (3, ())
        assert (kb.settings.kb_dir / "kb.sqlite.damaged").exists()


def test_repair_shows_in_an_open_knowledge_base(sound: Sound, tmp_path: Path) -> None:
    """Another process repairs; a search that was open before reads the new file, not the old one."""
    with sound.restore(tmp_path / "home") as kb, small_kb(tmp_path / "home") as other:
        assert other.search("valve circuit")
        with closing(sqlite3.connect(kb.settings.kb_dir / "kb.sqlite")) as db:
            db.execute("UPDATE vectors SET crc = 1")
            db.commit()
        assert kb.verify(repair=True).repaired
        assert other.search("valve circuit") == ()
        kb.ingest(sound.docs)
        assert answers(other, QUESTIONS) == sound.answers


def test_verify_finds_no_fault_while_another_writes(sound: Sound, tmp_path: Path) -> None:
    """It asked its questions one by one, and a commit in between looked like damage."""
    docs = shutil.copytree(sound.docs, tmp_path / "docs")
    done = threading.Event()
    with small_kb(tmp_path / "home") as kb, small_kb(tmp_path / "home") as writer:
        writer.ingest(docs)

        def write() -> None:
            for number in range(5):
                (docs / f"{number % 5}.md").write_text(f"Valve {number} was moved to circuit {number}.")
                writer.ingest(docs)
            done.set()

        thread = threading.Thread(target=write)
        thread.start()
        checks = 0
        while not done.is_set():
            assert kb.verify().faults == ()
            checks += 1
        thread.join()
    assert checks > 1
