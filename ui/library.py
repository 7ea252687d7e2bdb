"""The page of a knowledge base: its documents, adding some, and maintenance."""

from __future__ import annotations

import streamlit as st

from kb_assistant.workspace.desk import View
from ui.adding import add_documents
from ui.app_state import view
from ui.base_answers import how_it_answers
from ui.base_care import care, manage
from ui.document import document_panel
from ui.errors import show_problem
from ui.grants import grants_section
from ui.job_report import jobs_section
from ui.options import options
from ui.overview import base_overview_shown
from ui.sanitize import escaped, short, size
from ui.source_table import sources_section
from ui.strings import said_when, say


def page() -> None:
    base = view()
    st.header(escaped(base.name))
    show_problem()
    _counts(base)
    if base.may("write"):
        add_documents(base)
    jobs_section(base)
    base_overview_shown(base)
    sources_section(base)
    document_panel(base)
    if base.may("manage"):
        how_it_answers(base)
        _rated_bad(base)
        care(base)
        with st.expander(say("who_may"), icon=":material/group:", key="who-may"):
            grants_section(base)
        manage(base)


def _rated_bad(base: View) -> None:
    """What was wrong with answers, for who can mend it."""
    if not (found := base.rated_bad()):
        return
    with st.expander(say("rated_bad", n=len(found)), icon=":material/thumb_down:", key="rated-bad"):
        for one in found:
            st.markdown(f"**{escaped(short(one.question, 200))}**")
            who = [one.owner] if options().login else []
            st.caption(
                escaped(" · ".join([*filter(None, [short(one.reason, 500)]), *who, said_when(one.asked_at)]))
            )


def _counts(base: View) -> None:
    """What is in it, in one line."""
    state = base.status()
    parts = [say("count_sources", n=f"{state['sources']:,}"), say("count_chunks", n=f"{state['chunks']:,}")]
    if state["megabytes"] is not None:
        parts.append(say("count_disk", n=size(state["megabytes"] * 1e6)))
    with st.container(key="counts"):
        st.caption(escaped(" · ".join(parts)))
