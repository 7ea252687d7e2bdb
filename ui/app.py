"""The page that Streamlit runs: who is there, in which language, and which of the three pages is wanted.

No domain logic: whatever knows about documents and answers is in kb_assistant.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from kb_assistant import KBError
from kb_assistant.workspace import bases
from ui import chat, library, system
from ui.app_state import desk, kb_name, user
from ui.errors import show_error
from ui.options import MOST_MEGABYTES, options
from ui.strings import LANGUAGES, language, say

_ASSETS = Path(__file__).parent / "assets"


def main() -> None:
    st.set_page_config("kb-assistant", page_icon=str(_ASSETS / "icon.png"), layout="centered")
    st.html(f"<style>{_style()}</style>")
    who = user()
    pages = {
        "chat": st.Page(chat.page, title=say("chat"), icon=":material/chat:", url_path="chat", default=True),
        "library": st.Page(
            library.page, title=say("library"), icon=":material/library_books:", url_path="library"
        ),
        "system": st.Page(system.page, title=say("system"), icon=":material/tune:", url_path="system"),
    }
    st.session_state.pages = pages
    chosen = st.navigation(list(pages.values()))
    with st.sidebar:
        _head()
        if not who.may_write:
            st.caption(say("read_only"))
    try:
        chosen.run()
    except KBError as error:
        show_error(error)
    _keep_address()


def _style() -> str:
    """The page's own style; in Chinese also Streamlit's own words, for which it has no setting."""
    style = (_ASSETS / "page.css").read_text(encoding="utf-8")
    if language() == "zh":
        words = (_ASSETS / "words_zh.css").read_text(encoding="utf-8")
        style += words.replace("MOST_MEGABYTES", str(MOST_MEGABYTES))
    return style


def _head() -> None:
    """Language and knowledge base."""
    st.segmented_control(
        say("language"), list(LANGUAGES), format_func=lambda code: LANGUAGES[code], default=language(),
        key="language-choice", on_change=_choose_language, label_visibility="collapsed", width="stretch",
        required=True,
    )  # fmt: skip
    known = bases.list_bases(desk().settings)
    if known:
        st.selectbox(
            say("kb"), known, index=known.index(kb_name()), key=f"kb-choice-{kb_name()}", on_change=_choose_kb,
            args=(kb_name(),),
        )  # fmt: skip
    if options().login:
        st.html(f'<form method="post" action="/logout"><button class="kb-out">{say("sign_out")}</button></form>')


def _choose_language() -> None:
    st.session_state.lang = st.session_state["language-choice"]


def _choose_kb(before: str) -> None:
    """Another knowledge base: a conversation keeps its own, so a new one begins."""
    st.session_state.kb = st.session_state[f"kb-choice-{before}"]
    chat.open_chat(None)


def _keep_address() -> None:
    """What a reload has to find again stands in the address."""
    kept = [(name, st.session_state.get(name)) for name in ("lang", "chat", "kb")]
    wanted = [(name, str(value)) for name, value in kept if value]
    if dict(st.query_params) != dict(wanted):
        st.query_params.from_dict(wanted)


if __name__ == "__main__":
    main()
