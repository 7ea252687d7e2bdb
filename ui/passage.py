"""The passage behind a citation, beside the conversation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import PurePath
from typing import Any

import streamlit as st

from kb_assistant import Hit, KBError, SavedTurn
from kb_assistant.workspace.desk import View
from kb_assistant.workspace.preview import Surroundings, highlights
from kb_assistant.workspace.tables import without_bars
from ui import components
from ui.errors import attempt
from ui.opened import close_passage, open_document
from ui.pictures import picture
from ui.sanitize import escaped
from ui.strings import language, localized, say, words
from ui.turn_view import where

_KEY = "passage-element"
_TAB = "passage-tab"


def passage_panel(bases: Sequence[View], saved: Sequence[SavedTurn], opened: dict[str, Any]) -> None:
    """Show the passage named by `opened`: {"turn", "n", "mark"}; one of the knowledge bases holds it."""
    turn = next((turn for turn in saved if turn.id == opened.get("turn")), None)
    n = int(opened.get("n") or 0)
    if turn is None or not 1 <= n <= len(turn.hits):
        close_passage()
        return
    hit = turn.hits[n - 1]
    spans = highlights(turn, n, opened.get("mark"))
    with st.container(key="passage"):
        components.passage(
            _data(bases, turn, n, hit, spans),
            key=_KEY,
            on_close_change=partial(attempt, close_passage),
            on_step_change=partial(attempt, _step, turn, n),
        )
        holder = next((one for one in bases if _around(one, hit)), None)
        if holder is None:
            return
        _ways(hit)
        if _shows_page(hit):
            _page(holder, hit, [hit.text[start:end] for start, end in spans])


def _data(
    bases: Sequence[View],
    turn: SavedTurn,
    n: int,
    hit: Hit,
    spans: list[tuple[int, int]],
) -> dict[str, Any]:
    around = next((found for one in bases if (found := _around(one, hit))), None)
    notes = [
        say(name, files=", ".join(PurePath(path).name for path in paths))
        for name, paths in (("also_in", hit.also_in), ("near_in", hit.near_in))
        if paths
    ]
    return {
        "which": f"{turn.id}:{n}",
        "lang": language(),
        "words": words("close", "previous", "next"),
        "n": n,
        "file": PurePath(hit.source).name,
        "place": " · ".join(filter(None, [*where(hit), _folder(bases, hit)])),
        "heading": hit.locator.heading or "",
        "warning": "" if around else say("passage_gone"),
        "before": without_bars(around.before) if around else "",
        "after": without_bars(around.after) if around else "",
        "text": hit.text,
        "page_first": _shows_page(hit) and around is not None,
        "blocks": components.blocks(hit.text),
        "spans": components.utf16(hit.text, spans),
        "answer": components.utf16(hit.text, [answer])[0] if (answer := _answer(hit, spans)) else None,
        "notes": notes,
        "before_n": n > 1,
        "after_n": n < len(turn.hits),
    }


def _answer(hit: Hit, spans: list[tuple[int, int]]) -> tuple[int, int] | None:
    """What the reader took for the answer, as far as it is within the sentence that is marked, if one is."""
    if hit.answer is None:
        return None
    found = (hit.answer.start, hit.answer.end)
    within = [(max(start, found[0]), min(end, found[1])) for start, end in spans] or [found]
    return next(((start, end) for start, end in within if start < end), None)


def _around(base: View, hit: Hit) -> Surroundings | None:
    """The neighbours; None also if the knowledge base itself is gone."""
    try:
        return base.surroundings(hit)
    except KBError:
        return None


def _step(turn: SavedTurn, n: int) -> None:
    step = (st.session_state.get(_KEY) or {}).get("step") or {}
    n += int(step.get("by", 0))
    if 1 <= n <= len(turn.hits):
        st.session_state.passage = {"turn": turn.id, "n": n, "mark": f"near{n}"}


def _folder(bases: Sequence[View], hit: Hit) -> str:
    """Where its document lies, for people."""
    return bases[0].place_of(hit.source.rpartition("/")[0])


def _has_page(hit: Hit) -> bool:
    return hit.locator.page is not None and hit.source.lower().endswith(".pdf")


def _shows_page(hit: Hit) -> bool:
    """Whether the page stands for the text: so it does first."""
    return _has_page(hit) and st.session_state.get(_TAB, "tab_page") == "tab_page"


def _ways(hit: Hit) -> None:
    """The page, or the text, and the whole document."""
    with st.container(horizontal=True, vertical_alignment="center", key="passage-ways"):
        if _has_page(hit):
            if _TAB not in st.session_state:
                st.session_state[_TAB] = "tab_page"
            st.segmented_control(
                say("shown_as"), ["tab_page", "tab_text"], format_func=say, key=_TAB, required=True,
                label_visibility="collapsed",
            )  # fmt: skip
        st.button(
            say("open_document"), icon=":material/description:", key="open-document", type="tertiary",
            on_click=attempt, args=(_open, hit),
        )  # fmt: skip


def _open(hit: Hit) -> None:
    close_passage()
    open_document(hit.source, hit.id)


def _page(holder: View, hit: Hit, quotes: list[str]) -> None:
    """The image of the PDF page."""
    number = hit.locator.page or 1
    try:
        image = _drawn(holder, hit.source, number, tuple(quotes))
    except KBError as error:
        st.caption(escaped(localized(error.message)))
        return
    told = say("page_image", n=number, file=escaped(PurePath(hit.source).name))
    st.image(picture(image), caption=told, alt=told)


@st.cache_data(max_entries=50, ttl=600, show_spinner=False)
def _drawn(_holder: View, source: str, page: int, quotes: tuple[str, ...]) -> bytes:
    """Kept for all who may read the source, which the caller checks."""
    return _holder.page_image(source, page, quotes)
