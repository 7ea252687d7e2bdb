"""CSV and TSV: a line for each record, its values under the names of their columns. `lines` are those of the
file."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter

from ingest.readers.blocks import Block, Content, Context
from ingest.readers.encoding import decode
from ingest.readers.tables import Cell, sheet_parts
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_SEPARATORS = ",;\t|"
_SAMPLE_LINES = 50
_TOLD_SEPARATOR = re.compile(r"(sep=([,;\t|]))[ \t]*(?=\n)")  # as spreadsheet programs write it
_LONGEST_FIELD = 10_000_000


def read(data: bytes, context: Context) -> Content:
    """The records, with the names from the first row of names.

    Raises:
        ReadError: it isn't text, or a field is larger than a document.
    """
    text = decode(data)
    csv.field_size_limit(_LONGEST_FIELD)
    rows, ends = [], []
    mark = separator(text, context.name)
    if told := _TOLD_SEPARATOR.match(text):
        text, mark = text[told.end(1) :], told[2]
    reader = csv.reader(io.StringIO(text), delimiter=mark, skipinitialspace=True)
    try:
        for row in reader:
            rows.append([Cell(" ".join(value.split())) for value in row])
            ends.append(reader.line_num)
    except csv.Error as error:
        raise ReadError(
            _("The table can't be read: {reason}.", reason=error), _("Check its quotation marks.")
        ) from error
    blocks: list[Block] = []
    for numbers, lines in sheet_parts(rows):
        places = [(ends[number - 1] + 1 if number else 1, ends[number]) for number in numbers]
        blocks += _blocks(lines, places)
    return Content("", tuple(blocks))


def _blocks(lines: list[str], places: list[tuple[int, int]]) -> list[Block]:
    """Make one block of records with one line each, so that each is cited by its line; a longer record is a
    separate block."""
    blocks: list[Block] = []
    run: list[int] = []

    def end() -> None:
        if run:
            text = "\n".join(lines[index] for index in run)
            blocks.append(Block(text, "table", lines=(places[run[0]][0], places[run[-1]][1])))
            run.clear()

    for index, (first, last) in enumerate(places):
        if first != last or (run and first != places[run[-1]][1] + 1):
            end()
        run.append(index)
        if first != last:
            end()
    end()
    return blocks


def separator(text: str, name: str) -> str:
    """The field separator: the one that gives the same number of fields, more than one, in most lines."""
    if name.lower().endswith((".tsv", ".tab")) and "\t" in text:
        return "\t"
    best, best_score = ",", 0.0
    for mark in _SEPARATORS:
        sample = "\n".join(text.split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES])
        try:
            widths = Counter(len(row) for row in csv.reader(io.StringIO(sample), delimiter=mark) if row)
        except csv.Error:
            continue
        wide = [(count, width) for width, count in widths.items() if width > 1]
        if wide:
            count, width = max(wide)
            score = count / sum(widths.values()) + min(width, 10) / 1000
            if score > best_score:
                best, best_score = mark, score
    return best
