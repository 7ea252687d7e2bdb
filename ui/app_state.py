"""The state shared by all sessions of the page, and the user of this session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import streamlit as st

from kb_assistant import KBError, KnowledgeBase, Settings
from kb_assistant.messages import _
from kb_assistant.settings import write_setting
from kb_assistant.workspace import bases
from kb_assistant.workspace.access import LOCAL, User
from kb_assistant.workspace.folder_sync import FolderSync, follow_folders
from kb_assistant.workspace.suggestions import example_questions
from kb_assistant.workspace.workspace import Workspace
from ui.gate import COOKIE, sessions
from ui.options import options


class AppState(Workspace):
    """One per process. Engines are opened once and used by all sessions."""

    _sync: FolderSync | None = None

    def begin(self) -> None:
        """Do the one-time work that no page and no question should wait for.

        It deletes files of deleted conversations, starts watching folders, opens the knowledge base and loads the
        embedder. If that fails, the page says why.
        """
        with suppress(KBError):
            self.sweep()
        self._sync = follow_folders(self.jobs, self._listed)
        with suppress(KBError):
            base = self.base(self.settings.kb)
            example_questions(base)
            base.search("?", 1)

    def not_followed(self, base: KnowledgeBase) -> list[KBError]:
        """Which of the knowledge base's folders aren't watched now, and why."""
        return self._sync.problems(base) if self._sync else []

    def change_setting(self, name: str, value: Any) -> None:
        """Save a setting in kb.toml, None for its default, and reopen everything with it.

        Raises:
            BusyError: an answer or other work is in progress.
            SettingsError, StoreError: as for `write_setting`.
        """
        flags = options().flags

        def load() -> Settings:
            write_setting(self.settings.home, name, value, **flags)
            return Settings.load(**flags)

        self.change(load)

    def _listed(self) -> list[KnowledgeBase]:
        return [self.base(name) for name in bases.list_bases(self.settings)]


@st.cache_resource(show_spinner=False)
def app_state() -> AppState:
    shared = AppState(Settings.load(**options().flags))
    if not bases.list_bases(shared.settings):
        shared.create_base(shared.settings.kb)
    return shared


def user() -> User:
    """The user of this session. Ends the run if the token is no longer valid."""
    if not options().login:
        return User(LOCAL, "full")
    found = sessions.find(st.context.cookies.get(COOKIE, ""))
    if found is None:
        st.error("Sign in again. 请重新登录。")
        st.stop()
    return found


_known: ContextVar[list[str] | None] = ContextVar("known", default=None)


@contextmanager
def known_bases() -> Iterator[list[str]]:
    """Names of the knowledge bases, listed once per run of the page."""
    known = bases.list_bases(app_state().settings)
    token = _known.set(known)
    try:
        yield known
    finally:
        _known.reset(token)


def kb_name() -> str:
    """The knowledge base of this session.

    Raises:
        KBError: there is none.
    """
    known = _known.get()
    if known is None:
        known = bases.list_bases(app_state().settings)
    chosen = st.session_state.get("kb") or st.query_params.get("kb") or app_state().settings.kb
    if chosen not in known:
        chosen = app_state().settings.kb if app_state().settings.kb in known else (known[0] if known else "")
    if not chosen:
        raise KBError(_("There is no knowledge base."), _("Make one."))
    st.session_state.kb = chosen
    return str(chosen)
