"""Adding documents: files that are dropped, a whole folder, and folders of this machine that are followed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from kb_assistant import KBError
from kb_assistant.workspace import bases
from kb_assistant.workspace.desk import View
from ui.app_state import admin, is_admin, not_followed
from ui.errors import attempt, show_error
from ui.options import MOST_PASTED, options
from ui.sanitize import escaped, short, strip_invisible
from ui.strings import say
from ui.uploads import drop_zone


def add_documents(base: View) -> None:
    empty = not base.count_sources()
    key = f"add-{base.name}-{empty}"  # an expander keeps its state as long as its key
    with st.expander(say("add_documents"), icon=":material/upload_file:", expanded=empty, key=key):
        drop_zone(base, "library")
        drop_zone(base, "folder", whole=True)
        _paste(base)
        if base.may("manage"):
            _folder(base)


def _paste(base: View) -> None:
    """A text that is pasted or written here becomes a document."""
    with st.popover(say("paste_text"), icon=":material/content_paste:"), st.form("paste", border=False):
        st.text_input(say("paste_title"), key="paste-title", max_chars=200)
        st.text_area(say("paste_body"), key="paste-body", height=200, max_chars=MOST_PASTED)
        st.form_submit_button(say("paste_save"), on_click=attempt, args=(_pasted, base))


def _pasted(base: View) -> None:
    state = st.session_state
    base.paste(state["paste-title"], state["paste-body"])
    state["paste-title"] = state["paste-body"] = ""


def _folder(base: View) -> None:
    """Folders of this machine."""
    allowed = options().folders
    if allowed == ():
        st.caption(say("folder_none"))
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(say("folder"), key="folder", help=say("folder_hint"))
        st.button(say("keep"), key="keep", on_click=attempt, args=(_keep_named, base))
    for folder in base.folders().watched:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(strip_invisible(str(folder)))
            st.button(say("sync"), key=f"sync-{folder}", on_click=attempt, args=(read_again, base, [folder]))
            st.button(
                say("let_go"), key=f"go-{folder}", on_click=attempt,
                args=(base.unwatch_folder, folder), type="tertiary",
            )  # fmt: skip
    _left_out(base)
    _not_followed(base)


def _left_out(base: View) -> None:
    """Files of followed folders that were removed, and so aren't synchronized."""
    if not (files := base.folders().left_out):
        return
    with st.popover(say("left_out", n=len(files)), icon=":material/sync_disabled:", type="tertiary"):
        st.caption(say("left_out_hint"))
        for file in files[:_SHOWN]:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.text(strip_invisible(short(str(file), 80)), width="stretch")
                st.button(
                    say("sync_again"), key=f"sync-again-{file}", on_click=attempt, args=(base.sync_again, file)
                )


_SHOWN = 50


def _not_followed(base: View) -> None:
    """Show which folders aren't watched, and why."""
    for problem in not_followed(base):
        show_error(problem)
    if is_admin() and (odd := bases.odd_names(admin().settings)):
        st.warning(escaped(say("odd_bases", names=", ".join(odd), folder=admin().settings.home / "kbs")))


def _keep_named(base: View) -> None:
    _keep(base, st.session_state.folder)


def _keep(base: View, given: str) -> None:
    allowed = options().folders
    path = Path(given.strip()).expanduser()
    if allowed is not None and not any(path.resolve().is_relative_to(root) for root in allowed):
        raise KBError(say("folder_barred", roots=", ".join(map(str, allowed))))
    read_again(base, [base.watch_folder(given)])


def read_again(base: View, paths: Sequence[str | Path], passwords: Sequence[str] = ()) -> None:
    """Read files and folders, and what has changed in those that are known.

    Those that are gone don't keep the others from being read; if all are gone, the report says so.
    """
    base.ingest([path for path in paths if Path(path).exists()] or paths, passwords)
