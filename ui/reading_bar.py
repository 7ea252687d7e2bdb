"""A thin bar at the foot of every page while documents are being read."""

from __future__ import annotations

import streamlit as st

from kb_assistant.workspace.jobs import Reading
from ui.app_state import view
from ui.sanitize import escaped
from ui.strings import say

LOOKS_EVERY_S = 1.0


def reading_bar(*, above_others: bool) -> None:
    """How far the documents of this session's knowledge base are; the page is drawn anew once they are read.

    Args:
        above_others: Something stands at the foot of the page besides, and must keep its place below the bar.
    """
    base = view()
    idle = base.reading() is None
    if idle and not above_others:  # an empty foot would take room from the page
        return
    place = st.bottom.container()
    if idle:
        return

    @st.fragment(run_every=LOOKS_EVERY_S)
    def follow() -> None:
        now = base.reading()
        if now is None:
            st.rerun(scope="app")
        with st.container(key="reading-bar"):
            st.progress(min(1.0, now.share or 0.0), escaped(said(now)))

    with place:
        follow()


def said(now: Reading) -> str:
    if not now.all_files:
        return say("reading_looks")
    parts = [say("reading_files", n=now.files, all=now.all_files), say("reading_chunks", n=now.chunks)]
    if now.seconds_left is not None:
        parts.append(say("seconds_left", n=f"{now.seconds_left:.0f}"))
    return " · ".join(parts)
