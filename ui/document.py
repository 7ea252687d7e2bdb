"""A document that is opened, beside the page: its text, as it is read."""

from __future__ import annotations

from pathlib import PurePath

import streamlit as st

from kb_assistant.errors import NotFoundError
from kb_assistant.workspace.desk import View
from ui.errors import attempt
from ui.sanitize import escaped, strip_invisible
from ui.strings import say

SHOWN = 40
"""Most passages of a document that are shown."""


def open_document(path: str) -> None:
    st.session_state.document = path


def opened_document() -> str:
    """The path of the open document, or ""."""
    return str(st.session_state.get("document") or "")


def close_document() -> None:
    st.session_state.pop("document", None)


def document_panel(base: View) -> None:
    """The open document, if there is one."""
    if not (path := opened_document()):
        return
    try:
        path = base.source(path).path
    except NotFoundError:  # removed, of another knowledge base, or not to be read any more
        close_document()
        return
    known = base.pieces(path)
    with st.container(key="passage"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{escaped(PurePath(path).name)}**", width="stretch")
            st.button(
                say("close"), icon=":material/close:", key="close-document", on_click=attempt,
                args=(close_document,), type="tertiary",
            )  # fmt: skip
        for piece in known[:SHOWN]:
            st.caption(escaped(str(piece.locator)))
            st.text(strip_invisible(piece.text))
        if len(known) > SHOWN:
            st.caption(say("more_pieces", n=len(known) - SHOWN))
