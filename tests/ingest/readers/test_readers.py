"""What all readers share."""

from __future__ import annotations

import subprocess
import sys

from ingest.readers.blocks import Outline
from tests.samples import ROOT


def test_outline_forgets_deeper_headings() -> None:
    outline = Outline()
    outline.heading(1, "A", None)
    outline.heading(3, "C", None)
    outline.heading(2, " B\n b ", None)
    outline.add("text")
    assert [(block.text, block.heading) for block in outline.finish()] == [("C", "A"), ("text", "A > B b")]


def test_a_reader_loads_only_what_it_needs() -> None:
    code = (
        "import sys; from ingest.readers import read; read('a.md', b'# x'); import ingest.sandbox.worker; "
        "print([m for m in ('pypdfium2','docx','lxml','torch','transformers','faiss','langchain_core','numpy') "
        "if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.strip() == "[]"
