"""What is open beside the page: a passage, or a document."""

from __future__ import annotations

import streamlit as st


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
