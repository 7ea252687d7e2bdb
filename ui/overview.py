"""What is in a document, and in a knowledge base: told from their headings, without a model."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from kb_assistant import Source
from kb_assistant.workspace.desk import View
from kb_assistant.workspace.document_view import document_overview
from kb_assistant.workspace.preview import PreviewChunk
from ui.app_state import chosen
from ui.asking import ask
from ui.errors import attempt
from ui.sanitize import escaped, short, strip_invisible
from ui.strings import say

HEADINGS = 30


def document_overview_shown(base: View, source: Source, pieces: Sequence[PreviewChunk]) -> None:
    told = document_overview(source, pieces)
    facts = [say("count_chunks", n=len(pieces))]
    facts += [f"{say(f'fact_{name}')}: {value}" for name, value in told.facts.items() if name in _FACTS]
    st.markdown(f"**{escaped(short(source.title, 120))}**" if source.title else "")
    st.caption(escaped(" · ".join(facts)))
    _summary(base, source)
    _questions(told.questions)
    if told.headings:
        st.markdown(f"**{say('contents')}**")
        st.text("\n".join(strip_invisible(short(heading, 120)) for heading in told.headings[:HEADINGS]))


def _summary(base: View, source: Source) -> None:
    """In the document's own words; and by the chat model, in a new conversation."""
    if told := _sentences(base, base.name, source.path, source.digest, base.seen_as):
        st.markdown(f"**{say('in_short')}**")
        st.text(strip_invisible(" ".join(told)))
    if chosen().model != "extract":
        _asked("sum-up", say("sum_up"), say("ask_summary", name=source.path.rsplit("/", 1)[-1]))


@st.cache_data(max_entries=100, show_spinner=False)
def _sentences(_base: View, kb: str, path: str, digest: str, seen_as: object) -> tuple[str, ...]:
    del kb, digest, seen_as  # parts of the key
    return _base.summary(path)


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
        _asked("sum-up-all", say("sum_up_all"), say("ask_overview"))
        _questions(told.questions)


def _questions(questions: Sequence[str]) -> None:
    """They are asked by a click, in a new conversation."""
    if not questions:
        return
    st.markdown(f"**{say('key_questions')}**")
    with st.container(key="key-questions", gap="xsmall"):
        for number, question in enumerate(questions):
            _asked(f"key-question-{number}", escaped(question), strip_invisible(question))


def _asked(key: str, label: str, question: str) -> None:
    """A button that asks a question in a new conversation."""
    icon = ":material/arrow_outward:" if key.startswith("key-") else ":material/summarize:"
    if st.button(label, key=key, icon=icon, width="stretch", on_click=attempt, args=(ask, None, question)):
        st.switch_page(st.session_state.pages["chat"])
