"""Notebooks (IPYNB): text cells as Markdown, code cells as code, and their output."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from ingest.readers.blocks import Content, Context, Outline
from ingest.readers.encoding import decode, normalize_text
from ingest.readers.markup.markdown import add_markdown
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_LONGEST_OUTPUT = 20_000


def read(data: bytes, context: Context) -> Content:
    """The cells in order; `heading` continues from cell to cell.

    Raises:
        ReadError: it isn't a notebook.
    """
    try:
        notebook = json.loads(decode(data))
        cells = (
            notebook["cells"] if "cells" in notebook else [c for s in notebook["worksheets"] for c in s["cells"]]
        )
        parts = [(cell["cell_type"], _text(cell.get("source", cell.get("input", ""))), cell) for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ReadError(
            _("This isn't a notebook, or it is damaged."), _("Open and save it in Jupyter.")
        ) from error
    title, notes, outline = "", list[str](), Outline()
    for kind, text, cell in parts:
        if kind in ("markdown", "heading"):
            first_heading, hidden = add_markdown(outline, text.split("\n"))
            title = title or first_heading
            notes += hidden
        elif text.strip():
            outline.add(text.rstrip(), "code" if kind == "code" else "prose")
            for output in cell.get("outputs") or ():
                if shown := _shown(output).strip("\n").rstrip():
                    outline.add(shown[:_LONGEST_OUTPUT], "code")
    blocks = tuple(replace(block, lines=None) for block in outline.finish())
    return Content(title, blocks, notes=tuple(dict.fromkeys(notes)))


def _text(source: Any) -> str:
    return normalize_text("".join(source) if isinstance(source, list) else str(source))


def _shown(output: Any) -> str:
    """Printed text, a value's text, an error's message; pictures and tracebacks aren't part of the text."""
    if not isinstance(output, dict):
        return ""
    if output.get("output_type") == "error":
        return _text(f"{output.get('ename', '')}: {output.get('evalue', '')}")
    data = output.get("data")
    plain = data.get("text/plain", "") if isinstance(data, dict) else output.get("text", "")
    return _text(plain)
