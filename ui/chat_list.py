"""A user's conversations in the sidebar, by age, and the head of the open one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

import streamlit as st

from kb_assistant import Chat
from kb_assistant.workspace.chat_export import to_json, to_markdown
from ui.app_state import app_state, user
from ui.errors import attempt
from ui.passage import close_passage
from ui.sanitize import escaped, short, strip_invisible
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
    found = app_state().chats.of(user().name, search)
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
    app_state().chats.hide(chat, False)
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
            if files := _own_files(chat):
                st.caption(say("own_files"))
                st.text("\n".join(files))
            st.button(
                say("delete"), icon=":material/delete:", on_click=attempt, args=(_delete, chat.id),
                key="delete-chat", type="tertiary",
            )  # fmt: skip


def _exports(chat: Chat) -> None:
    name = re.sub(r"[^\w-]+", "-", chat.title).strip("-")[:60] or "conversation"
    st.download_button(
        say("export_md"), lambda: to_markdown(chat, app_state().chats.turns(chat.id)), f"{name}.md",
        "text/markdown", on_click="ignore",
    )  # fmt: skip
    st.download_button(
        say("export_json"), lambda: to_json(chat, app_state().chats.turns(chat.id)), f"{name}.json",
        "application/json", on_click="ignore",
    )  # fmt: skip


def _rename(chat: str) -> None:
    app_state().chats.rename(chat, st.session_state[f"title-{chat}"])


def _own_files(chat: Chat) -> list[str]:
    return [
        strip_invisible(source.path.rsplit("/", 1)[-1])
        for own in app_state().beside(chat.id)
        for source in own.sources()
    ]


def _delete(chat: str) -> None:
    """Take it out of the list; it is deleted for good a day later."""
    for running in app_state().answers.running(chat):
        running.stop()
    app_state().chats.hide(chat)
    open_chat(None)
    offer_undo("chats", say("chat_deleted"), lambda: _bring_back(chat))
