"""What goes wrong, said on the page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kb_assistant import KBError
from ui.app_state import user
from ui.sanitize import escaped
from ui.strings import say
from ui.told import told


def show_error(error: KBError) -> None:
    st.error(f"{escaped(told(error.message))}  \n{escaped(told(error.hint))}")


def attempt(work: Any, *arguments: Any) -> Any:
    """Do what a button asks for; what goes wrong is said on the page that follows, by `show_problem`."""
    try:
        if not user().may_write:  # asked before the page is drawn anew, as it may have been taken away meanwhile
            raise KBError(say("read_only"))
        return work(*arguments)
    except KBError as error:
        st.session_state.problem = error
        return None


def show_problem() -> None:
    if problem := st.session_state.pop("problem", None):
        show_error(problem)
