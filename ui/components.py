"""The elements that Streamlit lacks: turns with citations, a passage, and a table whose rows are opened and
selected. The browser part is in assets/; it inserts all its input as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from ui.sanitize import strip_all_invisible

_ASSETS = Path(__file__).parent / "assets"


def _read(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


@st.cache_resource(show_spinner=False)
def _component(name: str, html: str, css: str = "") -> Any:
    style = _read(f"{css or name}.css")
    return st.components.v2.component(f"kb_{name}", html=html, css=style, js=_read(f"{name}.js"))


def conversation(data: dict[str, Any], key: str, **told: Callable[[], None]) -> Any:
    """Turns. `told`: on_open_change, on_rate_change, on_retry_change, on_edit_change."""
    mount = _component("conversation", '<div class="turns"></div>')
    return mount(data=strip_all_invisible(data), key=key, **told)


def passage(data: dict[str, Any], key: str, **told: Callable[[], None]) -> Any:
    """A passage. `told`: on_close_change, on_step_change."""
    mount = _component("passage", '<section class="passage"></section>')
    return mount(data=strip_all_invisible(data), key=key, **told)


def document(data: dict[str, Any], key: str) -> Any:
    """Passages of a document, one after the other, with places marked."""
    mount = _component("document", '<section class="passage"></section>', css="passage")
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


def utf16(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Positions in a browser's units: characters beyond the first plane count twice."""
    return [(len(text[:a].encode("utf-16-le")) // 2, len(text[:b].encode("utf-16-le")) // 2) for a, b in spans]
