"""`kb ingest -`: one document from standard input."""

from __future__ import annotations

import io
import json
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.shell import is_told, kb_here

PAGE = b"<title>Pumps</title><p>The pump was built in 1904.</p>"


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_a_document_from_standard_input_is_read_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = partial(kb_here, monkeypatch, tmp_path / "home")
    for data, status in ((PAGE, "added"), (PAGE, "unchanged"), (PAGE.replace(b"1904", b"1905"), "updated")):
        piped(monkeypatch, data)
        done = kb("ingest", "-", "--name", "pump.html", "--json")
        assert done.returncode == 0, done.stderr
        (row,) = json.loads(done.stdout)["files"]
        assert (row["path"], row["status"]) == ("document:pump.html", status)
    hits = json.loads(kb("search", "pump", "--where", "type=html", "--json").stdout)["hits"]
    assert [(hit["source"], hit["text"]) for hit in hits] == [
        ("document:pump.html", "The pump was built in 1905.")
    ]


def test_what_cant_be_read_is_a_row_and_exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch, b"%PDF-1.4 no")
    done = kb_here(monkeypatch, tmp_path, "ingest", "-", "--name", "a.pdf")
    assert done.returncode == 1
    assert "1 failed: The PDF is damaged." in done.stdout
    assert "kb ingest - --name a.pdf < FILE" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["-"],
        ["-", "--name", ""],
        ["-", "docs", "--name", "a.md"],
        ["docs", "--name", "a.md"],
        ["-", "--name", "a.md", "--watch"],
        ["-", "--name", "a.md", "--dry-run"],
        ["docs", "--watch", "--dry-run"],
    ],
)
def test_what_makes_no_sense_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    piped(monkeypatch, PAGE)
    is_told(kb_here(monkeypatch, tmp_path / "home", "ingest", *arguments), "")
    assert not (tmp_path / "home").exists()
