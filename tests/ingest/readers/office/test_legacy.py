"""Office documents of the nineties by LibreOffice."""

from __future__ import annotations

import shutil
import struct
import sys
from pathlib import Path

import pytest

from ingest.readers import read
from kb_assistant.errors import ReadError


class TestOldOffice:
    def test_without_libreoffice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "which", lambda _: None)
        monkeypatch.setattr("ingest.readers.office.legacy._PLACES", ())
        with pytest.raises(ReadError, match="LibreOffice"):
            read("a.wps", bytes.fromhex("d0cf11e0a1b11ae1") + "WordDocument".encode("utf-16-le"))

    @pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the program")
    def test_a_libreoffice_without_the_program_for_the_document(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It ends with 0 and makes nothing, as Debian's does where only Writer is installed."""
        program = tmp_path / "soffice"
        program.write_text("#!/bin/sh\nexit 0\n")
        program.chmod(0o700)
        monkeypatch.setattr(shutil, "which", lambda _: str(program))
        with pytest.raises(ReadError) as refused:
            read("a.xls", struct.pack("<HHHH", 9, 4, 2, 0x10) + struct.pack("<HH", 10, 0))
        assert "LibreOffice Calc is installed" in refused.value.hint
