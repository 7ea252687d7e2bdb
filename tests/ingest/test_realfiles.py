"""Real files of every format in a knowledge base: what stands in them is found there, what is locked is told."""

from __future__ import annotations

import csv
import sys

import pytest

from tests.samples import DATA, ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

from realfiles import Result, ingested

FILES = DATA / "realfiles"
with (FILES / "manifest.tsv").open(encoding="utf-8", newline="") as _file:
    ROWS = list(csv.DictReader(_file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    return {
        result.name: result for result in ingested(ROWS, FILES / "files", tmp_path_factory.mktemp("realfiles"))
    }


@pytest.mark.parametrize("name", [row["file"] for row in ROWS])
def test_a_real_file(name: str, results: dict[str, Result]) -> None:
    result = results[name]
    assert result.good, (result.missing, result.wrong, result.error, result.notes)
    if result.expect == "error":
        assert len(result.error.split(". ")) > 1, "an error says what to do"
