"""Real files of every format, as `kb ingest` takes them: what stands in them is found, what is locked is told."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.sandbox import ReaderPool
from kb_assistant.settings import Settings

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "benchmarks"))

from realfiles import Result, read_one

DATA = Path(__file__).parent.parent / "data" / "realfiles"
with (DATA / "manifest.tsv").open(encoding="utf-8", newline="") as _file:
    ROWS = list(csv.DictReader(_file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReaderPool]:
    limits = Settings(tmp_path_factory.mktemp("home"))
    with ReaderPool(1, limits.read_seconds, limits.read_megabytes, limits.file_megabytes) as readers:
        yield readers


@pytest.mark.parametrize("row", ROWS, ids=[row["file"] for row in ROWS])
def test_a_real_file(row: dict[str, str], pool: ReaderPool) -> None:
    result: Result = read_one(pool, row, DATA / "files")
    assert result.good, (result.missing, result.wrong, result.error, result.notes)
    if result.expect == "error":
        assert len(result.error.split(". ")) > 1, "an error says what to do"
