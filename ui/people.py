"""The page of users: their groups, tokens and rights, for who manages all knowledge bases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import streamlit as st

from kb_assistant import KBError
from kb_assistant.workspace.access import Access
from kb_assistant.workspace.register import Register, Token
from kb_assistant.workspace.rights import RIGHTS
from ui.app_state import admin, desk, principal
from ui.errors import attempt, show_problem
from ui.grants import grants_section, told_base
from ui.options import options
from ui.sanitize import escaped, strip_invisible
from ui.strings import local_time, say

LIVES = (30, 90, 365, 0)
"""Days for which a token is made to choose from; 0 for ever."""


def page() -> None:
    st.header(say("people"))
    show_problem()
    access = admin().access
    if not options().login:
        st.caption(say("people_open"))
    _new_token()
    register, uses = access.register(), access.last_uses()
    st.subheader(say("users"))
    if not register.users:
        st.caption(say("no_users"))
    for name in sorted(register.users):
        _user(register, uses, name)
    _add_user()
    st.subheader(say("rights"))
    grants_section(None)


def _access() -> Access:
    """Asked for anew at each change: who changes it must still manage everything."""
    return admin().access


def _new_token() -> None:
    """A token that was made just now; it is shown until its user says that it is copied."""
    if made := st.session_state.get("new-token"):
        name, token = made
        with st.container(border=True, key="token-once"):
            st.markdown(escaped(say("token_once", name=name)))
            st.code(token, language=None, wrap_lines=True)
            st.button(say("token_seen"), key="token-seen", on_click=attempt, args=(_seen,))


def _seen() -> None:
    st.session_state.pop("new-token", None)


def _user(register: Register, uses: dict[str, str], name: str) -> None:
    rights = register.rights_of(name)
    told = ", ".join(f"{told_base(base)}: {say(f'right_{right}')}" for base, right in rights.items())
    with st.expander(escaped(f"{name} · {told or say('no_rights')}"), key=f"user-{name}"):
        with st.form(f"groups-{name}", border=False):
            groups = ", ".join(register.users[name])
            st.text_input(say("groups"), value=groups, key=f"groups-of-{name}")
            st.form_submit_button(say("save_groups"), on_click=attempt, args=(_set_groups, name))
        st.markdown(f"**{say('tokens_of')}**")
        for token in register.tokens:
            if token.user == name:
                _token(token, uses.get(token.id, ""))
        _make_token(name)
        if name != principal().name:
            with st.popover(escaped(say("remove_user", name=name)), type="tertiary", key=f"remove-{name}"):
                st.caption(say("remove_user_help"))
                st.button(say("delete"), key=f"sure-{name}", on_click=attempt, args=(_remove_user, name))


def _token(token: Token, used: str) -> None:
    limits = [] if token.bases is None else [", ".join(token.bases)]
    facts = [
        f"{token.id}…",
        token.label,
        *limits,
        say(f"right_{token.right}"),
        _until(token),
        say("used", when=f"{local_time(used):%Y-%m-%d %H:%M}") if used else say("never_used"),
    ]
    with st.container(horizontal=True, vertical_alignment="center", key=f"token-{token.id}"):
        st.text(strip_invisible(" · ".join(filter(None, facts))), width="stretch")
        st.button(
            say("revoke"), key=f"revoke-{token.id}", type="tertiary", on_click=attempt, args=(_revoke, token.id)
        )


def _until(token: Token) -> str:
    if not token.expires:
        return say("for_ever")
    if token.is_expired(datetime.now(UTC)):
        return say("expired")
    return say("valid_until", when=f"{local_time(token.expires):%Y-%m-%d %H:%M}")


def _make_token(name: str) -> None:
    with st.form(f"token-form-{name}", border=True):
        st.text_input(say("token_for"), key=f"label-{name}", max_chars=60)
        with st.container(horizontal=True):
            st.selectbox(
                say("token_until"), LIVES, key=f"lives-{name}",
                format_func=lambda days: say("days", n=days) if days else say("for_ever"),
            )  # fmt: skip
            st.selectbox(
                say("token_most"), RIGHTS, index=len(RIGHTS) - 1, key=f"most-{name}",
                format_func=lambda right: say(f"right_{right}"),
            )  # fmt: skip
        st.multiselect(say("token_bases"), desk().bases(), key=f"bases-{name}", placeholder=say("every_kb"))
        st.form_submit_button(say("make_token"), on_click=attempt, args=(_create_token, name))


def _create_token(name: str) -> None:
    state = st.session_state
    days = state[f"lives-{name}"]
    token = _access().new_token(
        name,
        state[f"label-{name}"].strip(),
        expires=datetime.now(UTC) + timedelta(days=days) if days else None,
        bases=state[f"bases-{name}"] or None,
        right=state[f"most-{name}"],
    )
    st.session_state["new-token"] = (name, token)


def _revoke(token: str) -> None:
    _access().revoke(token)


def _add_user() -> None:
    with st.form("add-user", clear_on_submit=True):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(say("user_name"), key="new-user", max_chars=64)
            st.text_input(say("groups"), key="new-groups")
        st.form_submit_button(say("add_user"), on_click=attempt, args=(_create_user,))


def _create_user() -> None:
    name, access = st.session_state["new-user"].strip(), _access()
    if name in access.register().users:
        raise KBError(say("user_there", name=name))
    access.put_user(name, _parted(st.session_state["new-groups"]))


def _set_groups(name: str) -> None:
    _access().put_user(name, _parted(st.session_state[f"groups-of-{name}"]))


def _remove_user(name: str) -> None:
    _access().remove_user(name)


def _parted(text: str) -> list[str]:
    return [part.strip() for part in text.replace("，", ",").split(",") if part.strip()]
