"""JSON and JSON Lines: sections and records, as nested data is told."""

from __future__ import annotations

import json
from typing import Any

from ingest.readers.blocks import Block, Content, Context, Outline
from ingest.readers.encoding import decode
from ingest.readers.nested import add_nested, records_of, too_deep
from kb_assistant.messages import _


def read(data: bytes, context: Context) -> Content:
    """The values with their names.

    Raises:
        ReadError: it is neither JSON nor JSON Lines, or nested too deep.
    """
    text = decode(data)
    if not text.strip():
        return Content("", ())
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise too_deep() from error
    except ValueError as error:
        return _lines(text, error)
    outline = Outline()
    add_nested(outline, value)
    return Content(_title(value), outline.finish())


def _lines(text: str, error: ValueError) -> Content:
    """Records line by line. Lines that aren't JSON are kept unchanged, as long as most lines are JSON."""
    blocks: list[Block] = []
    run: list[str] = []
    bad, filled = 0, 0

    def end(last: int) -> None:
        if run:
            blocks.append(Block("\n".join(run), "table", lines=(last - len(run) + 1, last)))
            run.clear()

    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            end(number - 1)
            continue
        filled += 1
        try:
            records = list(records_of(json.loads(line)))
        except RecursionError as deep:
            raise too_deep() from deep
        except ValueError:
            bad += 1
            records = []
        lines = [one for record in records for one in record.lines]
        texts = [pair for record in records for pair in record.texts]
        if texts or len(lines) > 1:
            end(number - 1)
            if lines:
                blocks.append(Block("\n".join(lines), "table", lines=(number, number)))
            blocks += [Block(value, lines=(number, number), heading=name) for name, value in texts]
        else:
            run += lines or [line.strip()]
    end(text.count("\n") + 1)
    if bad * 10 > filled:
        note = _("This isn't valid JSON ({reason}); it was taken as text.", reason=error)
        return Content(
            "", (Block(text.rstrip("\n"), "code", lines=(1, text.rstrip("\n").count("\n") + 1)),), {}, (note,)
        )
    notes = (
        (_("{count} of {all} lines aren't JSON; they were taken as text.", count=bad, all=filled),) if bad else ()
    )
    return Content("", tuple(blocks), {}, notes)


def _title(value: Any) -> str:
    title = value.get("title") if isinstance(value, dict) else None
    return " ".join(title.split())[:200] if isinstance(title, str) else ""
