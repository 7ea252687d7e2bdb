"""The rows of a file with their lines: a JSON array, JSON Lines, CSV or TSV, told apart by the content.

A row that is broken is a Fault, and those that can be told apart from it are read.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb_assistant.errors import DatasetError
from kb_assistant.messages import _
from kb_assistant.small_file import decode_text

_MOST_BYTES = 1 << 30
_MOST_CELL = 1 << 24
_BLANK = re.compile(r"[ \t\r\n]*,?[ \t\r\n]*")

Numbered = tuple[int, Any]
"""A line, and the value or the Fault there."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that can't be used.

    Attributes:
        line: Its line in the file, from 1.
        row: Its beginning, or "" if there is nothing to show.
        file: The file's name.
    """

    line: int
    reason: str
    row: str = ""
    file: str = ""


class Unusable(ValueError):
    """What is wrong with a row, as a message."""


def _text(file: Path, encoding: str) -> str:
    try:
        size = file.stat().st_size
        if size > _MOST_BYTES:
            raise DatasetError(
                _("{path} has {size:,.0f} MB; at most {most:,.0f} MB are read at once.",
                  path=file, size=size / 1e6, most=_MOST_BYTES / 1e6),
                _("Part it into several files."),
            )  # fmt: skip
        data = file.read_bytes()
    except OSError as error:
        raise DatasetError(_("{path} can't be read: {reason}.", path=file, reason=error)) from error
    try:
        return data.decode(encoding) if encoding else decode_text(data)
    except LookupError as error:
        raise DatasetError(_("There is no encoding {name!r}.", name=encoding), _("Such as: gb18030")) from error
    except ValueError as error:
        raise DatasetError(
            _("{path} can't be read: {reason}.", path=file, reason=error),
            _("Save it as UTF-8, or name its encoding: --encoding gb18030"),
        ) from error


def file_rows(file: Path, knows: Callable[[Sequence[str]], bool], encoding: str = "") -> Iterator[tuple[int, Any]]:
    """Each row of a file with its line: any JSON value, or a Fault.

    Args:
        knows: Whether a table's columns are of use.
        encoding: Of the file, if it isn't Unicode: "gb18030".

    Raises:
        DatasetError: it can't be read, is empty, or is a table of other columns.
    """
    text = _text(file, encoding).lstrip("\ufeff")  # one for each program that saved it
    if not text.strip():
        raise DatasetError(_("{path} is empty.", path=file), _("Give a file with questions and answers."))
    return _rows(text, file, knows)


def _rows(text: str, file: Path, knows: Callable[[Sequence[str]], bool]) -> Iterator[Numbered]:
    """Each row with its line: an object, or a Fault."""
    start = text.lstrip()[:1]
    if start == "[":
        return _array(text, text.index("[") + 1)
    if start == "{":
        first = [line for line in text.lstrip().split("\n", 3)[:3] if line.strip()]
        return _lines(text) if len(first) > 1 and any(map(_is_object, first[:2])) else _objects(text)
    return _table(text, file, knows)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _lines(text: str) -> Iterator[Numbered]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _parsed(line, number)


def _parsed(line: str, number: int) -> Any:
    try:
        return json.loads(line, object_pairs_hook=_once)
    except Unusable as error:
        return Fault(number, error.args[0], line[:200])
    except RecursionError:
        return Fault(number, _("it is nested too deeply."), line[:200])
    except ValueError as error:
        return Fault(number, _("it isn't JSON: {reason}.", reason=error), line[:200])


def _array(text: str, place: int, closed: bool = True, alone: bool = True) -> Iterator[Numbered]:
    """The values of a JSON array from a place on. What follows a broken one can't be told apart: it is one fault.

    Args:
        closed: Whether a bracket must close them.
        alone: Whether nothing else may stand behind it.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_once)
    line, counted = text.count("\n", 0, place) + 1, place
    while True:
        found = _BLANK.match(text, place)
        place = found.end() if found else place
        line, counted = line + text.count("\n", counted, place), place
        if text[place : place + 1] in ("]", ""):
            if closed and not text[place:]:
                yield line, Fault(line, _("the array isn't closed: the file is cut off."))
            elif alone and text[place + 1 :].strip():
                yield line, Fault(line, _("something else stands after the array. It isn't read."))
            return
        try:
            row, place = decoder.raw_decode(text, place)
        except Unusable as error:
            yield line, Fault(line, _("{reason} Nothing after it is read.", reason=error.args[0]))
            return
        except (ValueError, RecursionError) as error:
            reason = _("it is nested too deeply") if isinstance(error, RecursionError) else str(error)
            yield line, Fault(line, _("it isn't JSON: {reason}. Nothing after it is read.", reason=reason))
            return
        yield line, row


def _objects(text: str) -> Iterator[Numbered]:
    """Objects over several lines each: rows; or a single one that holds the list of rows."""
    found = list(_array(text, 0, closed=False))
    only = found[0][1] if len(found) == 1 and isinstance(found[0][1], dict) else {}
    lists = [name for name, value in only.items() if _holds_rows(value)]
    start = re.search(rf"{re.escape(json.dumps(lists[0], ensure_ascii=False))}\s*:\s*\[", text) if lists else None
    return _array(text, start.end(), alone=False) if start and len(lists) == 1 else iter(found)


def _holds_rows(value: Any) -> bool:
    """Whether a value is a list of rows, rather than the messages of one."""
    told = isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)
    return told and not any({"role", "from"} & one.keys() for one in value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, none of whose names stands twice: the last would silently win."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _value in pairs]
        raise Unusable(_("it has {name!r} twice.", name=next(one for one in names if names.count(one) > 1)))
    return made


def _table(text: str, file: Path, knows: Callable[[Sequence[str]], bool]) -> Iterator[Numbered]:
    """The rows of a CSV or TSV file with a line of names."""
    head = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max("\t,;|", key=head.count) if any(one in head for one in "\t,;|") else ","
    limit = csv.field_size_limit(_MOST_CELL)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        columns = [name.strip() for name in next(filter(None, reader), [])]
        _refuse(columns, file, knows)
        yield from _cells(reader, columns)
    except csv.Error as error:
        raise DatasetError(_("{path} isn't a table: {reason}.", path=file, reason=error)) from error
    finally:
        csv.field_size_limit(limit)


def _cells(reader: Any, columns: Sequence[str]) -> Iterator[Numbered]:
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cut = "unexpected end" in str(error)
            reason = _("a quote isn't closed, so that nothing after it is read.") if cut else str(error)
            yield line, Fault(line, reason)
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(columns):
            reason = _("it has {count} cells for {columns} columns: a comma or quote stands in a text?",
                       count=len(cells), columns=len(columns))  # fmt: skip
            yield line, Fault(line, reason, ",".join(cells)[:200])
        else:
            yield line, dict(zip(columns, cells, strict=False))


def _refuse(columns: Sequence[str], file: Path, knows: Callable[[Sequence[str]], bool]) -> None:
    twice = [name for name in columns if name and columns.count(name) > 1]
    if twice:
        raise DatasetError(_("{path} has the column {name!r} twice.", path=file, name=twice[0]))
    if not knows(columns):
        raise DatasetError(
            _("{path} has no columns of questions and answers, but: {columns}.",
              path=file, columns=", ".join(columns)[:200] or "-"),
            _("Name them: --question COLUMN --answer COLUMN"),
        )  # fmt: skip
