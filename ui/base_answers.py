"""How a knowledge base answers: its own role, language and length of answers, changed in place."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kb_assistant.base_settings import OWN, given
from kb_assistant.settings import LENGTHS, origins
from kb_assistant.workspace.desk import View
from ui.app_state import chosen
from ui.errors import attempt
from ui.options import options
from ui.sanitize import escaped
from ui.strings import LANGUAGES, say


def how_it_answers(base: View) -> None:
    """For who manages it."""
    box = st.expander(say("how_it_answers"), icon=":material/record_voice_over:", key="how-it-answers")
    own, fixed = base.own_settings(), given(**options().flags)
    with box:
        for name in OWN:
            _field(base, name, own.get(name), name in fixed)
        st.caption(say("own_hint"))


def _field(base: View, name: str, value: str | None, fixed: bool) -> None:
    """One of them: what is entered is kept at once; left empty, what holds for all counts."""
    key = f"own-{name}-{base.name}"
    if st.session_state.get(key, key) != value:  # changed elsewhere, or what was entered was refused
        st.session_state[key] = value
    everywhere = say("as_everywhere", value=_word(name, getattr(chosen(), name)))
    how: dict[str, Any] = {
        "key": key, "disabled": fixed, "on_change": attempt, "args": (_keep, base, name, key),
        "help": say("fixed_arguments") if fixed else None,
    }  # fmt: skip
    if name == "role":
        st.text_input(say("own_role"), value=value, placeholder=say("own_role_example"), max_chars=500, **how)
        _level(name, value, fixed, everywhere)
        return
    known = list(LENGTHS) if name == "answer_length" else list(LANGUAGES)
    offered = [*known, *([value] if value and value not in known else ())]
    st.selectbox(
        say(f"own_{name}"), offered, index=offered.index(value) if value else None,
        format_func=lambda one: _word(name, one), placeholder=everywhere, accept_new_options=True, **how,
    )  # fmt: skip
    _level(name, value, fixed, everywhere)


def _level(name: str, value: str | None, fixed: bool, everywhere: str) -> None:
    """Where what holds here comes from, unless it is the default."""
    if fixed:
        st.caption(say("level_start"))
    elif value:
        st.caption(say("level_own"))
    elif name in origins(**options().flags):
        st.caption(escaped(everywhere))


def _word(name: str, value: str) -> str:
    if name == "answer_language":
        return LANGUAGES.get(value, value) if value else say("as_asked")
    return say(f"answer_length_{value}") if value in LENGTHS else escaped(value)


def _keep(base: View, name: str, key: str) -> None:
    value = (st.session_state[key] or "").strip()
    base.change_own(name, value or None)
    st.toast(say("setting_kept"), icon=":material/check:")
