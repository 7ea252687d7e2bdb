"""Care for a knowledge base: it is checked, rebuilt, renamed and deleted, and another is created."""

from __future__ import annotations

import streamlit as st

from kb_assistant import KBError, KnowledgeBase
from kb_assistant.messages import _
from kb_assistant.workspace import bases
from ui.app_state import app_state
from ui.chat_list import open_chat
from ui.errors import attempt_change
from ui.strings import say


def care(base: KnowledgeBase) -> None:
    jobs = app_state().jobs
    with st.expander(say("care"), icon=":material/health_and_safety:", key="care"), st.container(horizontal=True):
        busy = jobs.busy(base)
        st.button(
            say("verify"),
            help=say("verify_help"),
            on_click=attempt_change,
            args=(jobs.verify, base),
            disabled=busy,
        )
        st.button(
            say("rebuild"),
            help=say("rebuild_help"),
            on_click=attempt_change,
            args=(jobs.rebuild, base),
            disabled=busy,
        )


def manage(name: str) -> None:
    here = app_state()
    busy = here.jobs.busy(here.base(name))
    with st.expander(say("manage"), icon=":material/edit:", key="manage"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(say("name"), value=name, key=f"name-{name}", max_chars=64)
            st.button(say("rename"), on_click=attempt_change, args=(_rename, name), disabled=busy, key="rename-kb")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(say("new_kb"), key="new-kb", max_chars=64)
            st.button(say("create"), on_click=attempt_change, args=(_create,), key="create-kb")
        sure = st.checkbox(say("sure_kb"), key=f"sure-{name}")
        st.button(
            say("delete"),
            on_click=attempt_change,
            args=(_remove, name),
            disabled=busy or not sure,
            key="delete-kb",
        )
        if busy:
            st.caption(say("kb_busy"))


def _create() -> None:
    name = st.session_state["new-kb"].strip()
    _checked(name)
    app_state().create_base(name)
    st.session_state.kb = name
    st.session_state.pop("scope", None)
    open_chat(None)


def _rename(old: str) -> None:
    new = st.session_state[f"name-{old}"].strip()
    _checked(new)
    app_state().rename_base(old, new)
    st.session_state.kb = new


def _remove(name: str) -> None:
    app_state().delete_base(name)
    for kept in ("kb", "scope"):
        st.session_state.pop(kept, None)
    open_chat(None)
    if not bases.list_bases(app_state().settings):
        app_state().create_base(app_state().settings.kb)


def _checked(name: str) -> None:
    if name.strip().startswith(bases.ATTACHED):
        raise KBError(
            _("Names that begin with {prefix!r} are taken.", prefix=bases.ATTACHED), _("Choose another name.")
        )
