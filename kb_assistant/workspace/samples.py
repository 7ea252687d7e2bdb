"""The sample documents: a small invented archive in two languages, to try the program with."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE / "sample_docs", _PACKAGE.parent / "sample_docs")
"""In an installed package, and in the project's own folder."""

FOLDER = "samples"


def sample_documents() -> Path | None:
    """Their folder; None if they weren't installed."""
    return next((place for place in _PLACES if place.is_dir()), None)


def sample_files() -> list[tuple[str, bytes]]:
    """Their names below FOLDER, and what is in them; none if they weren't installed."""
    docs = sample_documents()
    if docs is None:
        return []
    files = [file for file in sorted(docs.rglob("*")) if file.is_file() and file.parent != docs]
    return [(f"{FOLDER}/{file.relative_to(docs).as_posix()}", file.read_bytes()) for file in files]
