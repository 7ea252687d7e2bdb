"""A user's conversations in the sidebar, by age or as they are searched for, each with a menu."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby, pairwise

import streamlit as st

from kb_assistant import Chat
from kb_assistant.workspace.chat_search import FoundChat
from ui.app_state import desk
from ui.chat_menu import chat_menu
from ui.errors import attempt
from ui.opened import open_chat
from ui.sanitize import escaped, short
from ui.strings import local_time, say, today
from ui.undo import undo_line

LISTED = 30
"""Number of conversations listed at once."""


def chat_list(chat: Chat | None) -> None:
    """The user's conversations, in the sidebar."""
    st.button(
        say("new_chat"), icon=":material/add:", on_click=attempt, args=(open_chat, None), width="stretch",
        key="new-chat", type="primary",
    )  # fmt: skip
    undo_line("chats")
    search = st.text_input(
        say("search_chats"), key="search", type="search", placeholder=say("search_chats"), live="400ms",
        label_visibility="collapsed", icon=":material/search:", max_chars=200,
    )  # fmt: skip
    found = desk().conversations.search(search, None if not search else LISTED + 1)
    if not found and search:
        st.caption(say("no_chats"))
    with st.container(key="chats", gap=None):
        for age, some in groupby(found[:LISTED], lambda one: _age(one.chat)):
            st.caption(say(age))
            _rows(list(some), chat)
    if len(found) > LISTED:
        st.caption(say("more_found") if search else say("more_chats", n=len(found) - LISTED))


def _rows(some: Sequence[FoundChat], opened: Chat | None) -> None:
    for found in some:
        one = found.chat
        with st.container(horizontal=True, vertical_alignment="center", gap=None, key=f"row-{one.id}"):
            st.button(
                escaped(short(one.title, 40)) or say("untitled"), key=f"chat-{one.id}", on_click=attempt,
                args=(open_chat, one.id, found.turn), width="stretch",
                type="secondary" if opened and one.id == opened.id else "tertiary",
            )  # fmt: skip
            chat_menu(one, "list")
        if found.line:
            st.caption(_marked(found))


def _marked(found: FoundChat) -> str:
    """The line that was found, as text, with the words marked."""
    ends = [0, *(place for span in found.spans for place in span), len(found.line)]
    parts = [found.line[start:end] for start, end in pairwise(ends)]
    return "".join(
        f":yellow-background[{_part(part)}]" if odd else _part(part) for odd, part in _alternating(parts) if part
    )


def _alternating(parts: Sequence[str]) -> list[tuple[bool, str]]:
    return [(bool(place % 2), part) for place, part in enumerate(parts)]


def _part(text: str) -> str:
    """Escaped, with the spaces at its ends, which may stand between words."""
    bare = escaped(text)
    return f"{' ' * text.startswith(' ')}{bare}{' ' * (text.endswith(' ') and bool(bare))}"


def _age(chat: Chat) -> str:
    days = (today() - local_time(chat.changed_at).date()) / timedelta(days=1)
    return "age_today" if days <= 0 else "age_week" if days < 7 else "age_older"
