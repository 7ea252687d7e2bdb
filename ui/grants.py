"""Who may do what with one knowledge base, or with all: what is granted, and granting it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from kb_assistant.workspace.desk import View
from kb_assistant.workspace.rights import ANYONE, EVERY_BASE, RIGHTS, Grant, checked_grantee
from ui.app_state import admin, desk
from ui.errors import attempt
from ui.sanitize import strip_invisible
from ui.strings import say


def grants_section(base: View | None) -> None:
    """
    Args:
        base: The knowledge base, for who manages it; None for all, for who manages all.
    """
    place = base.name if base else EVERY_BASE
    st.caption(say("rights_help"))
    found = base.grants() if base else sorted(admin().access.register().grants, key=lambda one: (one.base, one.to))
    if not found:
        st.caption(say("no_grants"))
    for number, grant in enumerate(found):
        _row(grant, number, base)
    with st.form(f"grant-{place}"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(say("grant_to"), key=f"grant-to-{place}", max_chars=80)
            st.selectbox(
                say("grant_right"), RIGHTS, key=f"grant-right-{place}",
                format_func=lambda right: say(f"right_{right}"),
            )  # fmt: skip
            if base is None:
                _choose_base([*desk().bases(), EVERY_BASE])
        st.form_submit_button(say("grant"), on_click=attempt, args=(_grant, base, place))


def _choose_base(known: Sequence[str]) -> None:
    st.selectbox(say("kb"), known, key="grant-base", format_func=told_base)


def _row(grant: Grant, number: int, base: View | None) -> None:
    to = say("anyone") if grant.to == ANYONE else grant.to.removeprefix("user:")
    facts = [to, say(f"right_{grant.right}"), *([] if base else [told_base(grant.base)])]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(strip_invisible(" · ".join(facts)), width="stretch")
        st.button(
            say("take_back"), key=f"take-back-{base.name if base else EVERY_BASE}-{number}", type="tertiary",
            on_click=attempt, args=(_withdraw, base, grant),
        )  # fmt: skip


def told_base(name: str) -> str:
    return say("every_kb") if name == EVERY_BASE else name


def _grant(base: View | None, place: str) -> None:
    to, right = st.session_state[f"grant-to-{place}"].strip(), st.session_state[f"grant-right-{place}"]
    if base:
        base.grant(to, right)
    else:
        admin().access.grant(st.session_state["grant-base"], checked_grantee(to), right)


def _withdraw(base: View | None, grant: Grant) -> None:
    if base:
        base.withdraw(grant.to)
    else:
        admin().access.withdraw(grant.base, grant.to)
