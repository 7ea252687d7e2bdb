"""Office documents of the nineties by LibreOffice."""

from __future__ import annotations

import shutil

import pytest

from ingest.readers import read
from kb_assistant.errors import ReadError


class TestOldOffice:
    def test_without_libreoffice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "which", lambda _: None)
        monkeypatch.setattr("ingest.readers.office.legacy._PLACES", ())
        with pytest.raises(ReadError, match="LibreOffice"):
            read("a.wps", bytes.fromhex("d0cf11e0a1b11ae1") + "WordDocument".encode("utf-16-le"))
