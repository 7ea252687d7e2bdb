"""The law of ingest: whatever was done to the files, and however often they were ingested in between, the
knowledge base ends up as one fresh ingest of the files would make it."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from docx import Document
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kb_assistant.knowledge import KnowledgeBase
from tests.fakes import HashEmbeddings
from tests.law import answers, contents, small_kb

PARAGRAPHS = [
    "The station on the northern ridge was founded in 1957 by two meteorologists from Bergen.",
    "水泵由维修组每周检查一次，发现漏水时立即关闭阀门，并在登记簿上签名。",
    "Nightly backups of the database run at two o'clock; tapes are kept for ninety days in the vault.",
    "保修期为两年，自购买之日起计算。请保留发票，寄回时附上说明。",
    "ERR-1042 means that the inlet filter is clogged. Replace it within three to five days.",
    "深圳湾大桥于2007年建成，全长五公里半，连接深圳与香港。",
    "The meeting was moved to Thursday afternoon. The room stays the same, the agenda does not.",
    "Short one.",
]
NAMES = [
    "a.md",
    "b.txt",
    "c.html",
    "d.docx",
    "笔记.md",
    "sub/a.md",
    "sub/e.txt",
    "sub/deep/f.md",
    "other/g.docx",
    "box.zip",
    "sub/old.tar.gz",
]
QUESTIONS = ["who founded the station", "水泵 检查", "ERR-1042 filter", "paragraph"]
JUNK = b"PK\x03\x04 this is no archive"

names = st.sampled_from(NAMES)
paragraphs = st.lists(st.sampled_from(PARAGRAPHS), max_size=5)
# A kind of edit, the files it concerns, and text for it.
edits = st.tuples(
    st.sampled_from(
        ["write", "write", "insert", "delete", "empty", "move", "copy", "folder", "break", "ingest", "ingest part"]
    ),
    names,
    names,
    paragraphs,
)


def as_bytes(name: str, texts: list[str]) -> bytes:
    """A document of the kind that the name tells."""
    match Path(name).suffix:
        case ".docx":
            document, buffer = Document(), io.BytesIO()
            for text in texts:
                document.add_paragraph(text)
            document.save(buffer)
            return buffer.getvalue()
        case ".zip" | ".gz":
            return packed(name, {f"part{i // 2}/{i}.md": text for i, text in enumerate(texts)})
        case ".html":
            return "".join(f"<h2>Part {i}</h2><p>{text}</p>" for i, text in enumerate(texts)).encode()
        case ".md":
            return "\n\n".join(["# Notes", *texts]).encode()
    return "\n\n".join(texts).encode()


def packed(name: str, texts: dict[str, str]) -> bytes:
    """An archive of the kind that the name tells; the same texts give the same bytes."""
    buffer = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
            for member, text in texts.items():
                zipped.writestr(zipfile.ZipInfo(member), text)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member, text in texts.items():
            info = tarfile.TarInfo(member)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0)


@dataclass
class Folder:
    """A folder of documents that edits change, and the text of each as far as it is known."""

    root: Path
    texts: dict[str, list[str]] = field(default_factory=dict)

    def edit(self, kind: str, name: str, other: str, texts: list[str]) -> None:
        path, target = self.root / name, self.root / other
        path.parent.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        match kind:
            case "write":
                self._write(name, texts)
            case "insert":
                self._write(name, [*texts[:1], *self.texts.get(name, [])])
            case "delete":
                path.unlink(missing_ok=True)
            case "empty":
                path.write_bytes(b"")
            case "break":
                path.write_bytes(JUNK)
            case "move" if path.exists():
                path.replace(target)
                self.texts[other] = self.texts.pop(name, [])
            case "copy" if path.exists() and path != target:
                shutil.copyfile(path, target)
                self.texts[other] = self.texts.get(name, [])
            case "folder" if path.parent != self.root:
                moved = path.parent.with_name(path.parent.name + "-new")
                if not moved.exists():
                    path.parent.rename(moved)

    def _write(self, name: str, texts: list[str]) -> None:
        self.texts[name] = texts
        (self.root / name).write_bytes(as_bytes(name, texts))


def check_the_law(kb: KnowledgeBase, fresh: KnowledgeBase) -> None:
    assert contents(kb) == contents(fresh)
    assert answers(kb, QUESTIONS) == answers(fresh, QUESTIONS)


def play(script: list[tuple[str, str, str, list[str]]]) -> None:
    """Edit and ingest as the script says; at the end compare with a fresh ingest."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Folder(Path(scratch) / "docs")
        folder.root.mkdir()
        embedder = HashEmbeddings()
        with small_kb(Path(scratch) / "home", embedder) as kb, small_kb(Path(scratch) / "fresh") as fresh:
            for kind, name, other, texts in [*script, ("ingest", "", "", [])]:
                if kind not in ("ingest", "ingest part"):
                    folder.edit(kind, name, other, texts)
                    continue
                part = folder.root / name if kind == "ingest part" else folder.root
                if not part.exists():
                    continue
                before, seen = embedder.embedded, len(contents(kb)["texts"]) if kb.settings.kb_dir.exists() else 0
                report = kb.ingest(part)
                assert kb.verify().faults == ()
                assert report.embedded == embedder.embedded - before
                assert report.embedded >= len(contents(kb)["texts"]) - seen
            assert {row.path for row in kb.ingest(folder.root)} == {source.path for source in kb.sources()}, (
                "each file has its row"
            )
            fresh.ingest(folder.root)
            check_the_law(kb, fresh)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(edits, min_size=4, max_size=14))
def test_edits_and_ingests_in_any_order_equal_one_fresh_ingest(script: list[Any]) -> None:
    play(script)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(edits, min_size=10, max_size=40))
def test_long_histories_equal_one_fresh_ingest(script: list[Any]) -> None:
    play(script)


def test_a_file_changes_places_with_another(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text(PARAGRAPHS[0])
    (docs / "b.md").write_text(PARAGRAPHS[2])
    with small_kb(tmp_path / "home") as kb, small_kb(tmp_path / "fresh") as fresh:
        kb.ingest(docs)
        (docs / "a.md").rename(docs / "x")
        (docs / "b.md").rename(docs / "a.md")
        (docs / "x").rename(docs / "b.md")
        assert kb.ingest(docs).embedded == 0
        fresh.ingest(docs)
        check_the_law(kb, fresh)


def test_a_file_becomes_a_folder_and_a_file_again(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    (docs / "a.md").mkdir(parents=True)
    (docs / "a.md" / "b.md").write_text(PARAGRAPHS[0])
    with small_kb(tmp_path / "home") as kb, small_kb(tmp_path / "fresh") as fresh:
        kb.ingest(docs)
        shutil.rmtree(docs / "a.md")
        (docs / "a.md").write_text(PARAGRAPHS[0])
        assert kb.ingest(docs).embedded == 0
        fresh.ingest(docs)
        check_the_law(kb, fresh)


def test_a_file_that_grows_too_large_loses_its_old_text(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text(PARAGRAPHS[0])
    with (
        small_kb(tmp_path / "home", file_megabytes=1) as kb,
        small_kb(tmp_path / "fresh", file_megabytes=1) as fresh,
    ):
        kb.ingest(docs)
        os.truncate(docs / "a.md", 1_000_001)
        (row,) = kb.ingest(docs)
        assert (row.status, row.chunks) == ("failed", 0)
        assert "larger than 1 MB" in row.reason
        assert kb.search("station") == ()
        fresh.ingest(docs)
        check_the_law(kb, fresh)
