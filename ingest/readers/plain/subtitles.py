"""Subtitles (SRT, VTT): the spoken text, without numbers and marks; `lines` lead back to the times."""

from __future__ import annotations

import re
from html import unescape

from ingest.readers.blocks import Block, Content, Context
from ingest.readers.encoding import decode
from ingest.readers.plain import text

_TIMES = re.compile(r"\s*\d\S*\s*-->.*")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}")
_VOICE = re.compile(r"<v(?:\.[\w.]+)?\s+([^>]+)>")
_NOTE = re.compile(r"NOTE(?:\s+(.*))?$")
_GAP_LINES = 40  # a block is about a minute


def read(data: bytes, context: Context) -> Content:
    """The spoken text, about twenty cues per block, and the notes, which name sources. Styles are left out. A file
    without times is read as text."""
    lines = decode(data).split("\n")
    cues = list(_cues(lines))
    if not cues:
        return text.read(data, context)
    blocks = []
    run: list[tuple[int, int, str]] = []
    for cue in cues:
        if run and cue[1] - run[0][0] > _GAP_LINES:
            blocks.append(_block(run))
            run = []
        if not run or run[-1][2] != cue[2]:  # scrolling subtitles repeat each line
            run.append(cue)
    if run:
        blocks.append(_block(run))
    return Content("", tuple(blocks))


def _block(run: list[tuple[int, int, str]]) -> Block:
    return Block("\n".join(text for *_, text in run), lines=(run[0][0], run[-1][1]))


def _cues(lines: list[str]) -> list[tuple[int, int, str]]:
    """First line (with the times), last line and text of each cue."""
    found = []
    number = 0
    while number < len(lines):
        number += 1
        note = number > 1 and not lines[number - 2].strip() and _NOTE.match(lines[number - 1])
        if not (note or _TIMES.fullmatch(lines[number - 1])):
            continue
        first, words = number, [(note[1] or "").strip()] if note else []
        while number < len(lines) and lines[number].strip() and not _TIMES.fullmatch(lines[number]):
            words.append(unescape(_TAG.sub("", _VOICE.sub(r"\1: ", lines[number]))).strip())
            number += 1
        if text := " ".join(word for word in words if word):
            found.append((first, number, text))
    return found
