"""What is open: a conversation, and beside it a passage or a document."""

from __future__ import annotations

import streamlit as st


def open_chat(id_: str | None, turn: int | None = None) -> None:
    """Open a conversation, at a turn or at its end; or, with None, a new one."""
    st.session_state.chat = id_
    st.session_state.pop("window", None)
    st.session_state.at_turn = turn
    close_passage()


def close_passage() -> None:
    st.session_state.pop("passage", None)


def open_document(path: str, chunk: str = "") -> None:
    """Open a document, at the part with a chunk."""
    st.session_state.document = {"path": path, "chunk": chunk, "part": None}


def opened_document() -> str:
    """The path of the open document, or ""."""
    return str((st.session_state.get("document") or {}).get("path") or "")


def close_document() -> None:
    st.session_state.pop("document", None)
