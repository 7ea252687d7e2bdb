"""The menu of a conversation, at its head and in the list, and the head of the open one."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from kb_assistant import Chat
from ui.app_state import desk
from ui.downloads import download
from ui.errors import attempt
from ui.opened import open_chat
from ui.sanitize import escaped, short, strip_invisible
from ui.sharing import share_section
from ui.strings import say
from ui.undo import offer_undo


def chat_head(chat: Chat) -> None:
    """One line: the title, and a menu."""
    with st.container(horizontal=True, vertical_alignment="center", key="head"):
        st.markdown(f"**{escaped(short(chat.title, 90)) or say('untitled')}**")
        chat_menu(chat, "head")


def chat_menu(chat: Chat, place: Literal["head", "list"]) -> None:
    """What can be done with a conversation. Only a menu that is open is drawn."""
    name = say("chat_menu") if place == "head" else say("menu_of", name=escaped(short(chat.title, 60)))
    menu = st.popover(
        name, icon=":material/more_horiz:", type="tertiary", key=f"{place}-menu-{chat.id}", on_change="rerun"
    )
    if not menu.open:
        return
    key = f"{place}-{chat.id}"
    with menu:
        st.text_input(say("name"), value=strip_invisible(chat.title), key=f"title-{key}", max_chars=200)
        st.button(say("rename"), on_click=attempt, args=(_rename, chat.id, f"title-{key}"), key=f"rename-{key}")
        download(say("export_md"), f"chats/md/{chat.id}")
        download(say("export_json"), f"chats/json/{chat.id}")
        if place == "head":
            share_section(chat)
            if files := _own_files(chat):
                st.caption(say("own_files"))
                st.text("\n".join(files))
        st.button(
            say("delete"), icon=":material/delete:", on_click=attempt, args=(_delete, chat.id),
            key=f"delete-{key}", type="tertiary",
        )  # fmt: skip


def _rename(chat: str, field: str) -> None:
    desk().conversations.rename(chat, st.session_state[field])


def _own_files(chat: Chat) -> list[str]:
    return [
        strip_invisible(source.path.rsplit("/", 1)[-1])
        for own in desk().conversations.beside(chat.id)
        for source in own.sources()
    ]


def _delete(chat: str) -> None:
    """Take it out of the list; it is deleted for good a day later."""
    desk().conversations.hide(chat)
    if st.session_state.get("chat") == chat:
        open_chat(None)
    offer_undo("chats", say("chat_deleted"), lambda: _bring_back(chat))


def _bring_back(chat: str) -> None:
    desk().conversations.bring_back(chat)
    open_chat(chat)
