"""What the benchmarks read: texts and questions from folders and .jsonl files that are given as arguments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb_assistant.answering.history import turns
from kb_assistant.text.language import language_of
from kb_assistant.types import Turn

_SENTENCE = re.compile(r"[^。！？；\n]+[。！？；\n]*|[。！？；\n]+")
_TEXT_SUFFIXES = {".md", ".txt"}


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the turns before it."""

    text: str
    history: tuple[Turn, ...]


def passages(paths: Sequence[Path], characters: int, limit: int) -> list[str]:
    """Different passages of at most `characters` where Chinese (four times that elsewhere), `limit` in all.

    Args:
        paths: Folders of text files, and .jsonl files with a field "text". All are drawn on evenly.
    """
    found: dict[str, None] = {}
    waiting = [_passages(path, characters) for path in paths]
    while waiting and len(found) < limit:
        for source in list(waiting):
            passage = next(source, None)
            if passage is None:
                waiting.remove(source)
            else:
                found[passage] = None
    return list(found)[:limit]


def questions(paths: Sequence[Path], limit: int) -> list[Question]:
    """Questions of .jsonl files with fields "text" and, in some, "history": evenly spread over each file."""
    found = []
    for path in paths:
        asked = list(rows(path))
        step = max(1, len(asked) * len(paths) // limit)
        found += [Question(row["text"], turns(row.get("history") or ())) for row in asked[::step]]
    return found[:limit]


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a .jsonl file, one a line."""
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)


def _passages(path: Path, characters: int) -> Iterator[str]:
    for text in _texts(path):
        yield from _cut(text, characters if language_of(text) == "zh" else 4 * characters)


def _texts(path: Path) -> Iterator[str]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix in _TEXT_SUFFIXES:
                yield file.read_text(encoding="utf-8", errors="replace")
    else:
        yield from (row["text"] for row in rows(path))


def _cut(text: str, characters: int) -> Iterator[str]:
    """Whole sentences as long as they fit."""
    held = ""
    for sentence in _short(_SENTENCE.findall(text), characters):
        if held and len(held) + len(sentence) > characters:
            yield held.strip()
            held = ""
        held += sentence
    if held.strip():
        yield held.strip()


def _short(sentences: Iterable[str], characters: int) -> Iterator[str]:
    for sentence in sentences:
        yield from (sentence[start : start + characters] for start in range(0, len(sentence), characters))
