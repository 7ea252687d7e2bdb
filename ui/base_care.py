"""Care for a knowledge base: it is checked, rebuilt, renamed and deleted, and another is created."""

from __future__ import annotations

import streamlit as st

from kb_assistant import KBError
from kb_assistant.messages import _
from kb_assistant.workspace import bases
from kb_assistant.workspace.desk import View
from ui.app_state import admin, desk, is_admin
from ui.errors import attempt
from ui.opened import open_chat
from ui.strings import say


def care(base: View) -> None:
    with st.expander(say("care"), icon=":material/health_and_safety:", key="care"), st.container(horizontal=True):
        busy = base.is_busy()
        st.button(
            say("verify"),
            help=say("verify_help"),
            on_click=attempt,
            args=(base.verify,),
            disabled=busy,
        )
        st.button(
            say("rebuild"),
            help=say("rebuild_help"),
            on_click=attempt,
            args=(base.rebuild,),
            disabled=busy,
        )


def manage(base: View) -> None:
    name, busy = base.name, base.is_busy()
    with st.expander(say("manage"), icon=":material/edit:", key="manage"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(say("name"), value=name, key=f"name-{name}", max_chars=64)
            st.button(say("rename"), on_click=attempt, args=(_rename, base), disabled=busy, key="rename-kb")
        if is_admin():
            with st.container(horizontal=True, vertical_alignment="bottom"):
                st.text_input(say("new_kb"), key="new-kb", max_chars=64)
                st.button(say("create"), on_click=attempt, args=(_create,), key="create-kb")
        sure = st.checkbox(say("sure_kb"), key=f"sure-{name}")
        st.button(
            say("delete"),
            on_click=attempt,
            args=(_remove, base),
            disabled=busy or not sure,
            key="delete-kb",
        )
        if busy:
            st.caption(say("kb_busy"))


def _create() -> None:
    name = st.session_state["new-kb"].strip()
    _checked(name)
    desk().create_base(name)
    st.session_state.kb = name
    st.session_state.pop("scope", None)
    open_chat(None)


def _rename(base: View) -> None:
    new = st.session_state[f"name-{base.name}"].strip()
    _checked(new)
    base.rename(new)
    st.session_state.kb = new


def _remove(base: View) -> None:
    base.delete()
    for kept in ("kb", "scope"):
        st.session_state.pop(kept, None)
    open_chat(None)
    if is_admin() and not desk().bases():
        desk().create_base(admin().settings.kb)


def _checked(name: str) -> None:
    if name.strip().startswith(bases.ATTACHED):
        raise KBError(
            _("Names that begin with {prefix!r} are taken.", prefix=bases.ATTACHED), _("Choose another name.")
        )
