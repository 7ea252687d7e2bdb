"""The elements that Streamlit lacks: turns with citations, a passage, and a table whose rows are opened and
selected. The browser part is in assets/; it inserts all its input as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from kb_assistant.workspace.tables import code_blocks, grids
from ui.sanitize import strip_all_invisible
from ui.strings import say

_ASSETS = Path(__file__).parent / "assets"

_PASSAGE = '<section class="passage"></section>'


def _read(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


@st.cache_resource(show_spinner=False)
def _component(name: str, html: str, css: str = "", before: str = "") -> Any:
    style, script = _read(f"{css or name}.css"), (_read(before) if before else "") + _read(f"{name}.js")
    return st.components.v2.component(f"kb_{name}", html=html, css=style, js=script)


def conversation(data: dict[str, Any], key: str, **told: Callable[[], None]) -> Any:
    """Turns. `told`: on_open_change, on_rate_change, on_retry_change, on_edit_change."""
    mount = _component("conversation", '<div class="turns"></div>')
    return mount(data=strip_all_invisible(data), key=key, **told)


def passage(data: dict[str, Any], key: str, **told: Callable[[], None]) -> Any:
    """A passage. `told`: on_close_change, on_step_change."""
    mount = _component("passage", _PASSAGE, before="text.js")
    return mount(data=strip_all_invisible(data), key=key, **told)


def document(data: dict[str, Any], key: str) -> Any:
    """Passages of a document, one after the other, with places marked."""
    mount = _component("document", _PASSAGE, css="passage", before="text.js")
    return mount(data=strip_all_invisible(data), key=key)


def sources(data: dict[str, Any], key: str, **told: Callable[[], None]) -> Any:
    """A table of sources; its state `selected` has the ids of the selected ones. `told`: on_open_change,
    on_sort_change, on_selected_change."""
    mount = _component("sources", '<div class="frame"></div>')
    return mount(data=strip_all_invisible(data), key=key, **told)


def waiting_links() -> None:
    """Lets links to other pages wait for what is being typed; shows nothing."""
    _links()(key="links")


@st.cache_resource(show_spinner=False)
def _links() -> Any:
    return st.components.v2.component("kb_links", js=_read("links.js"))


def blocks(text: str) -> list[dict[str, Any]]:
    """The tables and the code of a passage in their order: where they stand; of a table the names of its columns
    and where its cells are, of code where its lines are."""
    tables = [
        {"start": start, "end": end, "names": list(table.names), "label": say("tab_table"),
         "rows": [utf16(text, row) for row in table.rows]}
        for table in grids(text)
        for start, end in utf16(text, [(table.start, table.end)])
    ]  # fmt: skip
    code = [
        {"start": start, "end": end, "label": say("code"), "code": inside}
        for block in code_blocks(text)
        for (start, end), inside in [utf16(text, [(block.start, block.end), block.inside])]
    ]
    return sorted([*tables, *code], key=lambda block: block["start"])


def utf16(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Positions in a browser's units: characters beyond the first plane count twice."""
    return [(len(text[:a].encode("utf-16-le")) // 2, len(text[:b].encode("utf-16-le")) // 2) for a, b in spans]
