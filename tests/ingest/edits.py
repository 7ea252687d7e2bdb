"""Edits of a folder of documents, drawn by hypothesis: files of several kinds, archives among them."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from docx import Document
from hypothesis import strategies as st

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
