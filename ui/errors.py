"""Shows errors on the page."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st
from streamlit.errors import Error as StreamlitError

from kb_assistant import KBError
from kb_assistant.messages import _, without_folders
from ui.app_state import is_admin
from ui.sanitize import escaped
from ui.strings import localized, say

_log = logging.getLogger(__name__)


def show_error(error: KBError) -> None:
    st.error(f"{escaped(_told(error.message))}  \n{escaped(_told(error.hint))}")


def _told(message: str) -> str:
    """A message; with names for paths for who isn't told of this machine's folders."""
    return localized(message if is_admin() else without_folders(message))


def attempt(work: Callable[..., object], *arguments: Any) -> None:
    """Run the action of a button or another element.

    Every callback of the page goes through here. `show_problem` shows its error on the next page. Whether the user
    may do it is checked by the door (`ui.app_state.view`), at the moment it is done. What was done before can't be
    undone any more.
    """
    st.session_state.pop("undo", None)
    try:
        work(*arguments)
    except KBError as error:
        st.session_state.problem = error
    except Exception as error:
        st.session_state.problem = _unforeseen(error)


def show_problem() -> None:
    """Show the error of a callback, once."""
    if problem := st.session_state.pop("problem", None):
        show_error(problem)


@contextmanager
def showing_errors() -> Iterator[None]:
    """Show an error while drawing a part of the page in its place."""
    try:
        yield
    except KBError as error:
        show_error(error)
    except StreamlitError:
        raise
    except Exception as error:
        show_error(_unforeseen(error))


def _unforeseen(error: Exception) -> KBError:
    _log.error("Something went wrong on the page.", exc_info=error)
    return KBError(_("{type}: {reason}", type=type(error).__name__, reason=str(error)), say("see_log"))
