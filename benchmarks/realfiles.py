"""Real and hostile files: is what stands in them found, and is every other one told of?

Reads a manifest (tab-separated; columns file, format, expect, snippets, must_not as JSON lists) with its folder
`files/`, takes each file the way `kb ingest` does (subprocess, limits, splitter) and looks for the snippets in the
pieces that would be stored, letters only. `--index` goes all the way: embeds, and looks in the store.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import tempfile
import time
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from ingest.sandbox import Item, ReaderPool
from ingest.split import Splitter
from kb_assistant.settings import Settings

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
    seconds: float
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


def judge(row: dict[str, str], text: str, error: str, notes: str, seconds: float) -> Result:
    body = bare(text)
    missing = []
    for snippet in json.loads(row["snippets"]):
        wanted = bare(snippet)
        if wanted in body or (row["expect"] == "scan" and body and share_found(wanted, body) >= _SCAN_SHARE):
            continue
        missing.append(snippet)
    wrong = [words for words in json.loads(row["must_not"]) if bare(words) in body]
    return Result(row["file"], row["format"], row["expect"], text, error, notes, seconds, missing, wrong)


def count_tokens(texts: Any) -> list[int]:
    """About what a tokenizer of many languages counts, without loading one."""
    return [
        len(
            re.findall(
                r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]{1,5}|[^\w\s]",
                text,
            )
        )
        for text in texts
    ]


def told(pieces: Any) -> str:
    """All that is stored of a file: each heading where it begins, then the texts."""
    parts, above = [], ""
    for heading, text in pieces:
        if heading != above:
            parts += [one for one in heading.split(" > ") if one not in above.split(" > ")]
            above = heading
        parts.append(text)
    return "\n".join(parts)


def read_one(pool: ReaderPool, row: dict[str, str], files: Path) -> Result:
    """What becomes of one file: read in a subprocess, split, looked through."""
    started = time.perf_counter()
    file = str(files / row["file"])
    (outcome,) = pool.read([Item(file, file)])
    seconds = time.perf_counter() - started
    text = notes = ""
    if outcome.content is not None:
        splitter = Splitter(count_tokens, Settings(files).chunk_tokens)
        text = told((piece.heading, piece.text) for piece in splitter.split(outcome.content))
        if outcome.content.title and outcome.content.title not in text[:500]:
            text = f"{outcome.content.title}\n{text}"
        notes = " ".join(outcome.content.notes) or ("" if text else "no text in it")
    return judge(row, text, outcome.error, notes, seconds)


def by_reading(rows: list[dict[str, str]], files: Path) -> list[Result]:
    limits = Settings(files)
    with ReaderPool(1, limits.read_seconds, limits.read_megabytes, limits.file_megabytes) as pool:
        return [read_one(pool, row, files) for row in rows]


def by_index(rows: list[dict[str, str]], files: Path) -> list[Result]:
    from kb_assistant import KnowledgeBase

    found = []
    with tempfile.TemporaryDirectory() as home, KnowledgeBase.open(home=home) as base:
        for row in rows:
            started = time.perf_counter()
            (report,) = base.ingest(files / row["file"])
            seconds = time.perf_counter() - started
            with base.store.read() as snapshot:
                chunks = snapshot.chunks_of_source(report.path)
            text = told((chunk.text.heading, chunk.text.body) for chunk in chunks)
            error, notes = (report.reason, "") if report.status == "failed" else ("", report.reason)
            found.append(judge(row, text, error, notes, seconds))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="holds manifest.tsv and files/")
    parser.add_argument("--index", action="store_true", help="embed and look in the store")
    parser.add_argument("--only", default="", help="a format, an expectation or a file")
    parser.add_argument(
        "--show", action="store_true", help="print errors, notes and what is missing of every file"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with (options.folder / "manifest.tsv").open(encoding="utf-8", newline="") as file:
        rows = [
            row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if (options.folder / "files" / row["file"]).exists()
            and (not options.only or options.only in (row["format"], row["file"], row["expect"]))
        ]  # fmt: skip
    results = (by_index if options.index else by_reading)(rows, options.folder / "files")
    for result in results:
        if options.show or not result.good:
            mark = "ok  " if result.good else "FAIL"
            print(
                f"{mark} {result.expect:6} {result.name} {result.seconds:.1f}s {result.error or result.notes}",
                file=sys.stderr,
            )
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
