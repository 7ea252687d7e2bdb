"""A document that is opened, beside the page: its pages, its text, its rows, and what is in it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import streamlit as st

from kb_assistant import KBError, Source
from kb_assistant.errors import NotFoundError
from kb_assistant.workspace.desk import View
from kb_assistant.workspace.document_view import Part, part_with, parts_of, rows_of
from kb_assistant.workspace.preview import PreviewChunk
from ui import components
from ui.downloads import download
from ui.errors import attempt
from ui.opened import close_document, opened_document
from ui.overview import document_overview_shown
from ui.pictures import picture
from ui.sanitize import escaped, short, strip_invisible
from ui.strings import language, localized, said_when, say

FOUND = 40
"""Most passages that a search within a document shows."""


def document_panel(*bases: View) -> None:
    """The open document, if there is one, of the knowledge base that holds it."""
    if not (path := opened_document()):
        return
    base = next((one for one in bases if _holds(one, path)), None)
    if base is None:  # removed, of another knowledge base, or not to be read any more
        close_document()
        return
    source = base.source(path)
    pieces = base.pieces(source.path)
    parts = parts_of(pieces)
    with st.container(key="passage"):
        _head(base, source, pieces)
        tabs = _tabs(source, parts)
        tab = st.segmented_control(
            say("shown_as"), tabs, format_func=say, default=tabs[0], key=f"document-tab-{_key(path)}",
            required=True, label_visibility="collapsed",
        )  # fmt: skip
        if tab == "tab_overview":
            document_overview_shown(base, source, pieces)
        elif parts and not _searched(path, pieces):
            _part(base, source, parts, tab or tabs[0])


def _key(path: str) -> str:
    """For keys of elements, which the browser gets to see: the path may not be shown."""
    return hashlib.sha256(path.encode("utf-8", "replace")).hexdigest()[:16]


def _holds(base: View, path: str) -> bool:
    try:
        base.source(path)
    except NotFoundError:
        return False
    return True


def _head(base: View, source: Source, pieces: Sequence[PreviewChunk]) -> None:
    name = PurePath(source.path).name
    with st.container(horizontal=True, vertical_alignment="center", key="document-head"):
        st.markdown(f"**{escaped(short(name, 60))}**", width="stretch")
        if pieces:
            download(say("download"), f"documents/{base.name}/{pieces[0].id}")
        st.button(
            say("close"), icon=":material/close:", key="close-document", on_click=attempt, args=(close_document,),
            type="tertiary",
        )  # fmt: skip
    folder = base.place_of(source.path.rpartition("/")[0]) or say("uploads")
    st.caption(escaped(f"{folder} · {said_when(source.ingested_at)}"))


def _tabs(source: Source, parts: Sequence[Part]) -> list[str]:
    """How it can be shown, the most telling first."""
    if source.path.lower().endswith(".pdf") and any(part.kind == "page" for part in parts):
        first = ["tab_page", "tab_text"]
    elif any(rows_of(part.pieces) for part in parts[:3]):
        first = ["tab_table", "tab_text"]
    else:
        first = ["tab_text"]
    return [*first, "tab_overview"]


def _searched(path: str, pieces: Sequence[PreviewChunk]) -> bool:
    """The field, and what was found. Returns whether anything is searched."""
    wanted = st.text_input(
        say("search_within"), key=f"document-search-{_key(path)}", icon=":material/search:",
        placeholder=say("search_within"), label_visibility="collapsed",
    ).strip()  # fmt: skip
    if not wanted:
        return False
    sought = re.compile(re.escape(wanted), re.IGNORECASE)
    found = [(piece, [match.span() for match in sought.finditer(piece.text)]) for piece in pieces]
    hits = [(piece, spans) for piece, spans in found if spans]
    st.caption(say("found_within", n=sum(len(spans) for _, spans in hits)))
    _texts([_piece(piece, spans) for piece, spans in hits[:FOUND]])
    return True


def _part(base: View, source: Source, parts: Sequence[Part], tab: str) -> None:
    opened = st.session_state.document
    at = opened["part"] if opened["part"] is not None else part_with(parts, opened["chunk"])
    at = max(0, min(int(at), len(parts) - 1))
    part = parts[at]
    if len(parts) > 1:
        _turner(parts, at)
    if tab == "tab_page" and part.kind == "page":
        _page(base, source, int(part.name))
    elif tab == "tab_table" and (rows := rows_of(part.pieces)):
        shown = [{strip_invisible(name): strip_invisible(cell) for name, cell in row.items()} for row in rows]
        st.dataframe(shown, hide_index=True, width="stretch", height="auto", alt=strip_invisible(part.name))
    else:
        _texts([_piece(piece, ()) for piece in part.pieces])


def _turner(parts: Sequence[Part], at: int) -> None:
    """On to the next page, slide or sheet, or to one that is chosen."""
    with st.container(horizontal=True, vertical_alignment="center", key="turner"):
        for step, name, sign in ((-1, "previous", "chevron_left"), (1, "next", "chevron_right")):
            st.button(
                say(name), icon=f":material/{sign}:", key=f"part-{name}", on_click=attempt,
                args=(_turn, at + step), type="tertiary", disabled=not 0 <= at + step < len(parts),
            )  # fmt: skip
        names = [strip_invisible(f"{say(f'part_{part.kind}')} {part.name}") for part in parts]
        key = "document-part"
        if st.session_state.get(key) != at:
            st.session_state[key] = at
        st.selectbox(
            say("part"), range(len(parts)), format_func=names.__getitem__, key=key, on_change=attempt,
            args=(_turn_to_chosen,), label_visibility="collapsed",
        )  # fmt: skip


def _turn(at: int) -> None:
    st.session_state.document["part"] = at


def _turn_to_chosen() -> None:
    _turn(st.session_state["document-part"])


def _page(base: View, source: Source, number: int) -> None:
    try:
        image = _drawn(base, source.path, source.digest, number)
    except KBError as error:
        st.caption(escaped(localized(error.message)))
        return
    name = escaped(PurePath(source.path).name)
    told = say("page_image", n=number, file=name)
    st.image(picture(image), caption=told, alt=told, width="stretch")


@st.cache_data(max_entries=50, ttl=600, show_spinner=False)
def _drawn(_base: View, path: str, digest: str, number: int) -> bytes:
    """Kept for all who may read the source, which the caller checks."""
    del digest  # part of the key
    return _base.page_image(path, number)


def _piece(piece: PreviewChunk, spans: Sequence[tuple[int, int]]) -> dict[str, Any]:
    return {
        "place": piece.locator.heading or "",
        "text": piece.text,
        "blocks": components.blocks(piece.text),
        "spans": components.utf16(piece.text, spans),
    }


def _texts(pieces: list[dict[str, Any]]) -> None:
    """One after the other; a heading stands where it changes."""
    before = ""
    for one in pieces:
        one["place"], before = ("" if one["place"] == before else one["place"]), one["place"]
    components.document({"lang": language(), "pieces": pieces}, key="document-text")
