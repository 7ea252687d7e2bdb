"""The script that Streamlit runs: determines the user, the language, and the requested one of the three pages.

It has no domain logic: everything about documents and answers is in kb_assistant.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from ui import chat, components, library, people, system
from ui.app_state import is_admin, kb_name, kb_names, known_bases, principal, view
from ui.errors import attempt, showing_errors
from ui.opened import open_chat
from ui.options import MOST_MEGABYTES, options
from ui.pictures import picture
from ui.reading_bar import reading_bar
from ui.sanitize import escaped
from ui.strings import LANGUAGES, language, say

_ASSETS = Path(__file__).parent / "assets"


def main() -> None:
    st.set_page_config("kb-assistant", page_icon=picture(_icon()), layout="centered")
    st.html(f"<style>{_style()}</style>")
    with showing_errors(), known_bases() as known:
        if "chat" in st.session_state:  # at once, too: the run that shows a new conversation may take a while
            _keep_address()
        _pages(known)
    _keep_address()


def _pages(known: Sequence[str]) -> None:
    pages = {
        "chat": st.Page(chat.page, title=say("chat"), icon=":material/chat:", url_path="chat", default=True),
        "library": st.Page(
            library.page, title=say("library"), icon=":material/library_books:", url_path="library"
        ),
    }
    if is_admin():  # settings hold for all, and name folders of this machine
        pages["people"] = st.Page(people.page, title=say("people"), icon=":material/group:", url_path="people")
        pages["system"] = st.Page(system.page, title=say("system"), icon=":material/tune:", url_path="system")
    st.session_state.pages = pages
    chosen = st.navigation(list(pages.values()), position="hidden")
    with st.sidebar:
        _head(known, list(pages.values()))
    with showing_errors():
        reading_bar(above_others=chosen is pages["chat"])
        chosen.run()
    with st.sidebar:
        _foot()


@cache
def _icon() -> bytes:
    return (_ASSETS / "icon.png").read_bytes()


def _style() -> str:
    """The page's style; in Chinese also Streamlit's own texts, for which it has no setting."""
    style = "".join((_ASSETS / name).read_text(encoding="utf-8") for name in ("tokens.css", "page.css"))
    if language() == "zh":
        words = (_ASSETS / "words_zh.css").read_text(encoding="utf-8")
        style += words.replace("MOST_MEGABYTES", str(MOST_MEGABYTES))
    return style


def _head(known: Sequence[str], pages: Sequence[Any]) -> None:
    """Name of the program, knowledge base, and the pages."""
    with st.container(horizontal=True, vertical_alignment="center", key="brand"):
        st.image(picture(_icon()), width=26, alt="")
        st.markdown("**kb-assistant**", width="content")
    if known:
        name = kb_name()
        st.selectbox(
            say("kb"), known, index=known.index(name), key=f"kb-choice-{name}", on_change=attempt,
            args=(_choose_kb, name),
        )  # fmt: skip
    with st.container(key="pages", gap=None):
        for one in pages:
            st.page_link(one)
        components.waiting_links()


def _foot() -> None:
    """What is set once: the language; and the way out."""
    st.divider()
    st.segmented_control(
        say("language"), list(LANGUAGES), format_func=lambda code: LANGUAGES[code], default=language(),
        key="language-choice", on_change=attempt, args=(_choose_language,), label_visibility="collapsed",
        width="stretch", required=True,
    )  # fmt: skip
    if options().login:
        right = view().right if kb_names() else "nothing"
        st.caption(escaped(f"{principal().name}: {say(f'may_{right}')}"))
        st.html(f'<form method="post" action="/logout"><button class="kb-out">{say("sign_out")}</button></form>')


def _choose_language() -> None:
    st.session_state.lang = st.session_state["language-choice"]


def _choose_kb(before: str) -> None:
    """Switch the knowledge base: a conversation keeps its own, so a new one begins."""
    st.session_state.kb = st.session_state[f"kb-choice-{before}"]
    st.session_state.pop("scope", None)  # of the other one's documents
    open_chat(None)


def _keep_address() -> None:
    """Put the state that must survive a reload into the address."""
    lang = st.session_state.get("lang") or st.query_params.get("lang")
    kept = [("lang", lang), *((name, st.session_state.get(name)) for name in ("chat", "kb"))]
    wanted = [(name, str(value)) for name, value in kept if value]
    if dict(st.query_params) != dict(wanted):
        st.query_params.from_dict(wanted)


if __name__ == "__main__":
    main()
