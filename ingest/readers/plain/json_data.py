"""JSON and JSON Lines: a line for each object that holds values, `name: value | name: value`. The path to a deeper
object is its heading."""

from __future__ import annotations

import json
from typing import Any

from ingest.readers.blocks import Block, Content, Context, Outline
from ingest.readers.encoding import decode
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_DEEPEST = 200


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
        raise _too_deep() from error
    except ValueError as error:
        return _lines(text, error)
    outline = Outline()
    _tell(outline, value)
    return Content(_title(value), outline.finish())


def _too_deep() -> ReadError:
    return ReadError(_("The JSON is nested too deep."), _("Save the part that counts by itself."))


def _lines(text: str, error: ValueError) -> Content:
    """One record per line. Lines that aren't JSON are kept unchanged, as long as most lines are JSON."""
    blocks, run, bad, start = [], list[str](), 0, 1
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            if run:
                blocks.append(Block("\n".join(run), "table", lines=(start, number - 1)))
            run, start = [], number + 1
            continue
        try:
            run.append(_record(json.loads(line)) or line.strip())
        except RecursionError as deep:
            raise _too_deep() from deep
        except ValueError:
            bad += 1
            run.append(line.strip())
    if run:
        blocks.append(Block("\n".join(run), "table", lines=(start, start + len(run) - 1)))
    filled = sum(bool(line.strip()) for line in lines)
    if bad * 10 > filled:
        note = _("This isn't valid JSON ({reason}); it was taken as text.", reason=error)
        return Content(
            "", (Block(text.rstrip("\n"), "code", lines=(1, text.rstrip("\n").count("\n") + 1)),), {}, (note,)
        )
    notes = (
        (_("{count} of {all} lines aren't JSON; they were taken as text.", count=bad, all=filled),) if bad else ()
    )
    return Content("", tuple(blocks), {}, notes)


def _record(value: Any) -> str:
    """All values of a record in one line, nested ones under their path."""
    parts = [f"{path}: {said}" if path else said for path, said in _leaves(value)]
    return " | ".join(parts)


def _leaves(value: Any) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, one = waiting.pop()
        if isinstance(one, dict):
            waiting += [(f"{path}.{key}" if path else str(key), inner) for key, inner in reversed(one.items())]
        elif isinstance(one, list):
            if all(isinstance(inner, str | int | float) for inner in one):
                found.append((path, ", ".join(_said(inner) for inner in one)))
            else:
                waiting += [(path, inner) for inner in reversed(one)]
        else:
            found.append((path, _said(one)))
    return [(path, said) for path, said in found if said]


def _said(value: Any) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    return "" if value is None else json.dumps(value)


def _tell(outline: Outline, root: Any) -> None:
    """Objects in a list are records, one line each; named objects are sections."""
    waiting: list[tuple[int, str, Any]] = [(0, "", root)]
    while waiting:
        depth, name, value = waiting.pop()
        if depth > _DEEPEST:
            raise _too_deep()
        if name:
            outline.heading(depth, name, None)
        if isinstance(value, dict):
            own = {key: one for key, one in value.items() if not _is_large(one)}
            if line := "\n".join(f"{path}: {said}" for path, said in _leaves(own)):
                outline.add(line, "table")
            waiting += [(depth + 1, str(key), one) for key, one in reversed(value.items()) if _is_large(one)]
        elif isinstance(value, list):
            lines = [record for one in value if (record := _record(one))]
            if lines:
                outline.add("\n".join(lines), "table")
        elif said := _said(value):
            outline.add(said)


def _is_large(value: Any) -> bool:
    """Whether it gets a section: if it has objects or many values."""
    if isinstance(value, dict):
        return len(value) > 8 or any(isinstance(one, dict | list) for one in value.values())
    return isinstance(value, list) and any(isinstance(one, dict | list) for one in value)


def _title(value: Any) -> str:
    title = value.get("title") if isinstance(value, dict) else None
    return " ".join(title.split())[:200] if isinstance(title, str) else ""
