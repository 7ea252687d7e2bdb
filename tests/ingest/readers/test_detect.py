"""Which reader a file is for: its bytes decide, then its suffix."""

from __future__ import annotations

import shutil
from contextlib import suppress

import pytest

from ingest.readers import read
from ingest.readers.blocks import Content
from ingest.readers.detect import SUFFIXES, detect
from kb_assistant.errors import ReadError
from tests.ingest.readers.documents import (
    CHINESE,
    all_text,
    saved,
    workbook,
)
from tests.waiting import ProcessorTime


class TestWhichReader:
    @pytest.mark.parametrize(
        ("name", "data", "words"),
        [
            ("a.docx", b"<html><body><p>a page</p></body></html>", "a page"),
            ("a.pdf", b"<!DOCTYPE html><html><body><p>a page</p></body></html>", "a page"),
            ("a.xls", b"<html><table><tr><td>Name</td><td>Age</td></tr></table></html>", "Name"),
            ("a.xls", b"Name\tAge\nAlice\t42\n", "Age: 42"),
            ("a.doc", b"{\\rtf1\\ansi words\\par}", "words"),
            ("a.txt", b"{\\rtf1\\ansi words\\par}", "words"),
            ("a.zip.txt", b"plain", "plain"),
        ],
    )
    def test_content_decides_over_the_name(self, name: str, data: bytes, words: str) -> None:
        assert words in all_text(read(name, data))

    def test_office_files_under_any_name(self) -> None:
        book = saved(workbook(S=[["Item", "Price"], ["Pump", 42]]))
        for name in ("a.xlsx", "a.docx", "a.txt", "a.pptx"):
            assert "Price: 42" in all_text(read(name, book))

    def test_text_under_a_binary_name_is_refused(self) -> None:
        for name in ("a.pdf", "a.docx", "a.pptx", "a.epub", "a.odt"):
            with pytest.raises(ReadError):
                read(name, b"just some words")

    def test_every_suffix_has_a_reader_that_refuses_or_reads_nonsense(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "which", lambda _: None)
        for suffix in sorted(SUFFIXES):
            for data in (b"", b"\0\1\2", b"PK\x03\x04nonsense", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(2000)):
                with suppress(ReadError):
                    assert isinstance(read(f"a{suffix}", data), Content)

    def test_detect_leaves_text_to_the_suffix(self) -> None:
        assert detect(b"# words", "markup.markdown") == "markup.markdown"
        assert detect(b"", "") == ""

    @pytest.mark.parametrize("name", ["README", "notes.foo", "a.bin"])
    def test_without_a_suffix_that_says_what_it_is(self, name: str) -> None:
        assert all_text(read(name, CHINESE.encode("gb18030"))) == CHINESE
        assert all_text(read(name, b"<html><body><p>a page</p></body></html>")) == "a page"
        assert "Price: 42" in all_text(read(name, saved(workbook(S=[["Item", "Price"], ["Pump", 42]]))))
        with pytest.raises(ReadError, match="can't be read"):
            read(name, b"\x7fELF\2\1\1\0")


def test_many_comments_before_a_page_cost_no_time() -> None:
    clock = ProcessorTime()
    assert detect(b"<!---->" * 5000 + b"x", "") == "plain.text"
    assert detect(b"<!---->" * 5000 + b"<p>x</p>", "") == "markup.html"
    assert clock.seconds < 5
