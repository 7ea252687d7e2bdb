"""Files that tests read, by their places."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
SAMPLE_DOCS = ROOT / "sample_docs"
