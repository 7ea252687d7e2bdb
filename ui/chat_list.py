"""A user's conversations in the sidebar, by age, and the head of the open one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

import streamlit as st

from kb_assistant import Chat
from ui.app_state import desk
from ui.downloads import download
from ui.errors import attempt
from ui.opened import close_passage
from ui.sanitize import escaped, short, strip_invisible
from ui.sharing import share_section
from ui.strings import local_time, say, today
from ui.undo import offer_undo, undo_line

LISTED = 30
"""Number of conversations listed at once."""


def open_chat(id_: str | None) -> None:
    st.session_state.chat = id_
    st.session_state.pop("window", None)
    close_passage()


def chat_list(chat: Chat | None) -> None:
    """The user's conversations, in the sidebar."""
    st.button(
        say("new_chat"), icon=":material/add:", on_click=attempt, args=(open_chat, None), width="stretch",
        key="new-chat", type="primary",
    )  # fmt: skip
    undo_line("chats")
    search = st.text_input(
        say("search_chats"), key="search", placeholder=say("search_chats"), label_visibility="collapsed",
        icon=":material/search:",
    )  # fmt: skip
    found = desk().conversations.all(search)
    if not found and search:
        st.caption(say("no_chats"))
    with st.container(key="chats", gap=None):
        for age, some in groupby(found[:LISTED], _age):
            st.caption(say(age))
            _rows(list(some), chat)
    if len(found) > LISTED:
        st.caption(say("more_chats", n=len(found) - LISTED))


def _rows(some: Sequence[Chat], chat: Chat | None) -> None:
    for one in some:
        st.button(
            escaped(short(one.title, 40)) or say("untitled"), key=f"chat-{one.id}", on_click=attempt,
            args=(open_chat, one.id), type="secondary" if chat and one.id == chat.id else "tertiary",
            width="stretch",
        )  # fmt: skip


def _age(chat: Chat) -> str:
    days = (today() - local_time(chat.changed_at).date()) / timedelta(days=1)
    return "age_today" if days <= 0 else "age_week" if days < 7 else "age_older"


def _bring_back(chat: str) -> None:
    desk().conversations.bring_back(chat)
    open_chat(chat)


def chat_head(chat: Chat) -> None:
    """One line: the title, and a menu."""
    with st.container(horizontal=True, vertical_alignment="center", key="head"):
        st.markdown(f"**{escaped(short(chat.title, 90)) or say('untitled')}**")
        with st.popover(say("chat_menu"), icon=":material/more_horiz:", type="tertiary"):
            shown = strip_invisible(chat.title)
            st.text_input(say("name"), value=shown, key=f"title-{chat.id}", max_chars=200)
            st.button(say("rename"), on_click=attempt, args=(_rename, chat.id), key="rename-chat")
            _exports(chat)
            share_section(chat)
            if files := _own_files(chat):
                st.caption(say("own_files"))
                st.text("\n".join(files))
            st.button(
                say("delete"), icon=":material/delete:", on_click=attempt, args=(_delete, chat.id),
                key="delete-chat", type="tertiary",
            )  # fmt: skip


def _exports(chat: Chat) -> None:
    download(say("export_md"), f"chats/md/{chat.id}")
    download(say("export_json"), f"chats/json/{chat.id}")


def _rename(chat: str) -> None:
    desk().conversations.rename(chat, st.session_state[f"title-{chat}"])


def _own_files(chat: Chat) -> list[str]:
    return [
        strip_invisible(source.path.rsplit("/", 1)[-1])
        for own in desk().conversations.beside(chat.id)
        for source in own.sources()
    ]


def _delete(chat: str) -> None:
    """Take it out of the list; it is deleted for good a day later."""
    desk().conversations.hide(chat)
    open_chat(None)
    offer_undo("chats", say("chat_deleted"), lambda: _bring_back(chat))
