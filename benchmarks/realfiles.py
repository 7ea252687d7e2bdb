"""Real and hostile files: is what stands in them found, and is every other one told of?

Reads a manifest (tab-separated; columns file, format, expect, snippets, must_not as JSON lists) with its folder
`files/`, ingests the files into a knowledge base of its own and looks for the snippets in what is stored of each,
letters only. Vectors are random ones: they play no part in it. Nothing may be left behind but the knowledge base.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import sys
import tempfile
import time
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

sys.path.insert(0, str(Path(__file__).parent.parent))

from vectors import RandomEmbeddings

from kb_assistant import KnowledgeBase, Settings
from kb_assistant.embedding.local import LocalEmbeddings
from kb_assistant.store import Chunk
from kb_assistant.types import Report

_INVISIBLE = re.compile("[\\s\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_SCAN_SHARE = 0.8  # letters of a snippet that OCR must give: the snippets themselves are what an OCR read


@dataclass
class Result:
    name: str
    format: str
    expect: str
    text: str
    error: str
    notes: str
    missing: list[str]
    wrong: list[str]

    @property
    def good(self) -> bool:
        if self.wrong:
            return False
        if self.expect in ("text", "scan"):
            return not self.missing
        if self.expect == "error":
            return bool(self.error) and "The reader failed" not in self.error and "crashed" not in self.error
        if self.expect == "empty":
            return not self.text and bool(self.error or self.notes)
        return "The reader failed" not in self.error and "crashed" not in self.error


def bare(text: str) -> str:
    """Letters alone: line breaks, columns and spacing don't count."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).lower()


def share_found(snippet: str, text: str) -> float:
    """Share of the snippet's letters in the text that is most like it: what OCR gives differs in single
    letters."""
    from rapidfuzz import fuzz

    def plain(one: str) -> str:
        return "".join(mark for mark in unicodedata.normalize("NFD", one) if not unicodedata.combining(mark))

    return fuzz.partial_ratio(plain(snippet), plain(text)) / 100


def judge(row: dict[str, str], text: str, error: str, notes: str) -> Result:
    body = bare(text)
    missing = []
    for snippet in json.loads(row["snippets"]):
        wanted = bare(snippet)
        if wanted in body or (row["expect"] == "scan" and body and share_found(wanted, body) >= _SCAN_SHARE):
            continue
        missing.append(snippet)
    wrong = [words for words in json.loads(row["must_not"]) if bare(words) in body]
    return Result(row["file"], row["format"], row["expect"], text, error, notes, missing, wrong)


def ingested(rows: list[dict[str, str]], files: Path, scratch: Path, read_seconds: float = 60) -> list[Result]:
    """What becomes of the files when all are ingested together, by what the report and the store say of each.

    Raises:
        SystemExit: something was left behind beside the knowledge base.
    """
    documents, home, temporary = (scratch / name for name in ("documents", "home", "temporary"))
    documents.mkdir()
    temporary.mkdir()
    for row in rows:
        shutil.copy(files / row["file"], documents / row["file"])
    before = tempfile.gettempdir()
    tempfile.tempdir = str(temporary)
    try:
        settings = Settings(home=home, read_seconds=read_seconds)
        with KnowledgeBase(settings, embedder=cast(LocalEmbeddings, RandomEmbeddings())) as base:
            report = base.ingest(documents)
            results = [found(base, report, row, documents / row["file"]) for row in rows]
    finally:
        tempfile.tempdir = before
    names = {row["file"] for row in rows}
    stray = [*temporary.iterdir(), *(path for path in documents.iterdir() if path.name not in names)]
    if stray:
        raise SystemExit(f"Left behind: {', '.join(map(str, stray))}")
    return results


def found(base: KnowledgeBase, report: Report, row: dict[str, str], file: Path) -> Result:
    """A file, or an archive with all that was in it."""
    told = [one for one in report if one.path == str(file) or one.path.startswith(f"{file}{os.sep}")]
    with base.store.read() as snapshot:
        chunks = [chunk for one in told for chunk in snapshot.chunks_of_source(one.path)]
    error = " ".join(one.reason for one in told if one.status == "failed")
    notes = " ".join(one.reason for one in told if one.status != "failed")
    return judge(row, text_of(chunks), error, notes)


def text_of(chunks: Iterable[Chunk]) -> str:
    """All that is stored of a file: each heading where it begins, then the texts."""
    parts: list[str] = []
    above = ""
    for text in (chunk.text for chunk in chunks):
        if text.heading != above:
            parts += [one for one in text.heading.split(" > ") if one not in above.split(" > ")]
            above = text.heading
        parts.append(text.body)
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="holds manifest.tsv and files/")
    parser.add_argument("--only", default="", help="a format, an expectation or a file")
    parser.add_argument(
        "--show", action="store_true", help="print errors, notes and what is missing of every file"
    )
    parser.add_argument("--read-seconds", type=float, default=60, help="for a file; more beside other load")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with (options.folder / "manifest.tsv").open(encoding="utf-8", newline="") as file:
        rows = [
            row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if (options.folder / "files" / row["file"]).exists()
            and (not options.only or options.only in (row["format"], row["file"], row["expect"]))
        ]  # fmt: skip
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kb-realfiles-") as scratch:
        results = ingested(rows, options.folder / "files", Path(scratch), options.read_seconds)
    print(f"{len(results)} files, {time.monotonic() - started:.0f} s", file=sys.stderr)
    for result in results:
        if options.show or not result.good:
            mark = "ok  " if result.good else "FAIL"
            print(f"{mark} {result.expect:6} {result.name} {result.error or result.notes}", file=sys.stderr)
            for snippet in result.missing:
                print(f"       missing: {snippet}", file=sys.stderr)
            for words in result.wrong:
                print(f"       must not: {words}", file=sys.stderr)
    tally: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for result in results:
        for key in ((result.expect, result.format), (result.expect, "all")):
            tally[key][0] += result.good
            tally[key][1] += 1
    if options.json:
        print(json.dumps({f"{expect} {format}": counts for (expect, format), counts in tally.items()}, indent=2))
        return
    for (expect, format), (good, total) in sorted(tally.items()):
        print(f"{expect:7} {format:9} {good:3} of {total}")


if __name__ == "__main__":
    main()
