"""What was just done can be undone for a while: until another thing is done, or some time has passed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import streamlit as st

from ui.errors import attempt
from ui.sanitize import escaped
from ui.strings import say

LASTS_S = 30.0


@dataclass(frozen=True, slots=True)
class Undo:
    """
    Attributes:
        place: The part of the page that shows it.
        text: What was done.
        again: Undoes it.
        at: When it was done.
    """

    place: str
    text: str
    again: Callable[[], object]
    at: float = field(default_factory=time.monotonic)


def offer_undo(place: str, text: str, again: Callable[[], object]) -> None:
    """For a callback that did something; `attempt` takes the offer of the one before back."""
    st.session_state.undo = Undo(place, text, again)


def undo_line(place: str) -> None:
    now = st.session_state.get("undo")
    if not isinstance(now, Undo) or now.place != place:
        return

    @st.fragment(run_every=LASTS_S)
    def follow() -> None:
        if time.monotonic() - now.at >= LASTS_S:
            st.session_state.pop("undo", None)
            st.rerun(scope="app")
        with st.container(horizontal=True, vertical_alignment="center", key=f"undo-{place}"):
            st.caption(escaped(now.text))
            st.button(
                say("undo"), on_click=attempt, args=(now.again,), type="tertiary", key=f"undo-button-{place}"
            )

    follow()
