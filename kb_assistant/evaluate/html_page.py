"""Parts of a page of results: one HTML file with tables and plots, no scripts, no external resources."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from html import escape

from kb_assistant.evaluate.metrics import import_measure

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 90rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #ccc; padding: .3rem .7rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.texts th, .texts td { text-align: left; vertical-align: top; white-space: pre-wrap; overflow-wrap: break-word; }
.texts td { min-width: 6rem; }
svg { max-width: min(100%, 54rem); height: auto; background: #fff; }
small { color: #555; }
@media (prefers-color-scheme: dark) { body { background: #1c1c1c; color: #ddd; } small { color: #aaa; } }
"""


def document(title: str, body: str) -> str:
    """The whole page around a body of HTML."""
    name = escape(title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>\n<h1>{name}</h1>\n{body}\n</body></html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: bool = False) -> str:
    """A table; its cells are escaped.

    Args:
        texts: It holds sentences rather than numbers: they stand at the left and are broken into lines.
    """

    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    kind = ' class="texts"' if texts else ""
    return f"<table{kind}>{line('th', head)}{''.join(line('td', row) for row in rows)}</table>"


def figure(height: float):  # type: ignore[no-untyped-def]  # matplotlib's own types load with it
    """A figure with its axes.

    Raises:
        KBError: matplotlib isn't installed.
    """
    made = import_measure("matplotlib.figure").Figure(figsize=(8, height), layout="constrained")
    return made, made.subplots()


def svg(drawn) -> str:  # type: ignore[no-untyped-def]
    """A figure as an element of the page."""
    out = io.StringIO()
    drawn.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
