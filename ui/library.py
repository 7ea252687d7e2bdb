"""The page of a knowledge base: its documents, adding some, and maintenance."""

from __future__ import annotations

import streamlit as st

from kb_assistant import KnowledgeBase
from kb_assistant.workspace import bases
from ui.adding import add_documents
from ui.app_state import app_state, kb_name, user
from ui.base_care import care, manage
from ui.document import document_panel
from ui.errors import show_problem
from ui.job_report import jobs_section
from ui.sanitize import escaped, size
from ui.source_table import sources_section
from ui.strings import say


def page() -> None:
    name = kb_name()
    base = app_state().base(name)
    st.header(escaped(name))
    show_problem()
    if not bases.exists(base.settings):
        bases.create_base(base.settings)
    _counts(base)
    if user().may_write:
        add_documents(base)
    jobs_section(base)
    sources_section(base)
    document_panel(base)
    if user().may_write:
        care(base)
        manage(name)


def _counts(base: KnowledgeBase) -> None:
    """What is in it, in one line."""
    state = base.status()
    parts = [
        say("count_sources", n=f"{state['sources']:,}"),
        say("count_chunks", n=f"{state['chunks']:,}"),
        say("count_disk", n=size(state["megabytes"] * 1e6)),
    ]
    with st.container(key="counts"):
        st.caption(escaped(" · ".join(parts)))
