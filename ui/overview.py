"""What is in a document, and in a knowledge base: told from their headings, without a model."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from kb_assistant import Source
from kb_assistant.workspace.desk import View
from kb_assistant.workspace.document_view import document_overview
from kb_assistant.workspace.preview import PreviewChunk
from ui.asking import ask
from ui.errors import attempt
from ui.sanitize import escaped, short, strip_invisible
from ui.strings import say

HEADINGS = 30


def document_overview_shown(source: Source, pieces: Sequence[PreviewChunk]) -> None:
    told = document_overview(source, pieces)
    facts = [say("count_chunks", n=len(pieces))]
    facts += [f"{say(f'fact_{name}')}: {value}" for name, value in told.facts.items() if name in _FACTS]
    st.markdown(f"**{escaped(short(source.title, 120))}**" if source.title else "")
    st.caption(escaped(" · ".join(facts)))
    _questions(told.questions)
    if told.headings:
        st.markdown(f"**{say('contents')}**")
        st.text("\n".join(strip_invisible(short(heading, 120)) for heading in told.headings[:HEADINGS]))


_FACTS = ("author", "date", "subject", "from", "to")


def base_overview_shown(base: View) -> None:
    """In a part of the page that is opened when it is wanted."""
    box = st.expander(say("overview"), icon=":material/info:", key=f"overview-{base.name}", on_change="rerun")
    if not box.open:
        return
    told = base.overview()
    with box:
        kinds = ", ".join(f"{count:,} × {kind.upper() or '–'}" for kind, count in told.kinds)
        st.markdown(f"**{say('type')}**: {escaped(kinds)}")
        if told.dates[0]:
            st.markdown(f"**{say('dates_from_to')}**: {escaped(' – '.join(told.dates))}")
        _questions(told.questions)


def _questions(questions: Sequence[str]) -> None:
    """They are asked by a click, in a new conversation."""
    if not questions:
        return
    st.markdown(f"**{say('key_questions')}**")
    with st.container(key="key-questions", gap="xsmall"):
        for number, question in enumerate(questions):
            asked = st.button(
                escaped(question), key=f"key-question-{number}", icon=":material/arrow_outward:", width="stretch",
                on_click=attempt, args=(ask, None, strip_invisible(question)),
            )  # fmt: skip
            if asked:
                st.switch_page(st.session_state.pages["chat"])
