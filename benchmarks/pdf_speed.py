"""Pages a second of the PDF reader against pypdfium2 alone (every page's text taken and thrown away), in turns.

Counts the processor's time, not the clock's. Scanned pages are left to others: OCR is switched off.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import pypdfium2 as pdfium

from ingest.readers import read
from ingest.readers.image import ocr
from kb_assistant.errors import ReadError


def alone(data: bytes) -> int:
    """Pages whose text pdfium gives."""
    document = pdfium.PdfDocument(data)
    for page in document:
        layer = page.get_textpage()
        layer.get_text_range()
        layer.close()
        page.close()
    pages = len(document)
    document.close()
    return pages


def timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, help="PDF files, or folders of them")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ocr.available = lambda: False
    files = [file for path in options.paths for file in (sorted(path.glob("*.pdf")) if path.is_dir() else [path])]
    pages, ours, theirs = 0, 0.0, 0.0
    for file in files:
        data = file.read_bytes()
        try:
            count = alone(data)
            read(file.name, data)
        except (pdfium.PdfiumError, ReadError):
            continue
        pages += count
        theirs += min(timed(lambda: alone(data)) for _ in range(options.rounds))  # noqa: B023
        ours += min(timed(lambda: read(file.name, data)) for _ in range(options.rounds))  # noqa: B023
    print(f"{len(files)} files, {pages} pages that both read")
    print(f"pypdfium2 alone {pages / theirs:8.0f} pages/s of processor time")
    print(f"the reader      {pages / ours:8.0f} pages/s, {theirs / ours:.2f} of that")


if __name__ == "__main__":
    main()
