"""Sharing a conversation by a link: its owner makes and ends it, in the conversation's menu."""

from __future__ import annotations

from urllib.parse import urlsplit

import streamlit as st

from kb_assistant import Chat
from ui.app_state import desk, kb_names, view
from ui.errors import attempt
from ui.options import options
from ui.shared_page import PREFIX
from ui.strings import say


def share_section(chat: Chat) -> None:
    """Nothing where only this machine reaches the page."""
    if not options().login or chat.kb not in kb_names():
        return
    st.caption(say("share"))
    link = desk().conversations.shared(chat.id)
    if link is None:
        open_ = view(chat.kb).may("manage") and st.toggle(
            say("share_open"), key="share-open", help=say("share_open_help")
        )
        st.button(
            say("make_link"), icon=":material/link:", key="make-link", help=say("share_hint"), on_click=attempt,
            args=(_share, chat.id, open_),
        )  # fmt: skip
        return
    st.code(f"{_address()}{PREFIX}{link.key}", language=None, wrap_lines=True)
    st.caption(say("link_anyone" if link.without_token else "link_token"))
    st.button(say("end_link"), icon=":material/link_off:", key="end-link", on_click=attempt, args=(_end, chat.id))


def _address() -> str:
    """Where the browser reaches the page."""
    found = urlsplit(st.context.url or "")
    return f"{found.scheme}://{found.netloc}"


def _share(chat: str, without_token: bool) -> None:
    desk().conversations.share(chat, without_token=without_token)


def _end(chat: str) -> None:
    desk().conversations.end_share(chat)
