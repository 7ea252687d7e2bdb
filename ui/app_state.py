"""The state shared by all sessions of the page, and the door through which each session reaches it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

import streamlit as st

from kb_assistant import KBError, KnowledgeBase, Settings
from kb_assistant.base_settings import given
from kb_assistant.errors import ForbiddenError, NotFoundError
from kb_assistant.messages import _
from kb_assistant.settings import write_setting
from kb_assistant.workspace import bases
from kb_assistant.workspace.desk import Desk, View
from kb_assistant.workspace.folder_sync import FolderSync, follow_folders
from kb_assistant.workspace.index_refresh import follow_changes
from kb_assistant.workspace.rights import LOCAL_USER, NOBODY, Principal
from kb_assistant.workspace.suggestions import example_questions
from kb_assistant.workspace.workspace import Workspace
from ui.gate import COOKIE, sessions
from ui.options import options


class AppState(Workspace):
    """One per process. Engines are opened once and used by all sessions.

    Sessions reach it through `desk`, `view` and `admin`, which check what their user may do.
    """

    _sync: FolderSync | None = None

    def begin(self) -> None:
        """Do the one-time work that no page and no question should wait for.

        It deletes files of deleted conversations, starts watching folders, opens the knowledge base and loads the
        embedder. If that fails, the page says why.
        """
        with suppress(KBError):
            self.sweep()
        self._sync = follow_folders(self.jobs, self._listed)
        follow_changes(self.settings.store, self.opened)
        with suppress(KBError):
            base = self.base(self.settings.kb)
            example_questions(base)
            base.search("?", 1)
            base.embedder.load()

    def problems(self, name: str) -> list[KBError]:
        """Which of a knowledge base's folders aren't watched now, and why."""
        return self._sync.problems(self.base(name)) if self._sync else []

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
    shared = AppState(Settings.load(**options().flags), given(**options().flags))
    if not bases.list_bases(shared.settings):
        shared.create_base(shared.settings.kb)
    return shared


def user_of(cookies: Mapping[str, str]) -> Principal:
    """The user of a browser, by its cookies.

    Raises:
        ForbiddenError: it isn't signed in, or its token is no longer valid.
    """
    if not options().login:
        return LOCAL_USER
    found = sessions.find(cookies.get(COOKIE, ""))
    if found is None:
        raise ForbiddenError(_("You are signed out."), _("Sign in again."))
    return found


def desk_of(cookies: Mapping[str, str]) -> Desk:
    """What the user of a browser may see and do, each time: what is taken away is gone with the next click."""
    return Desk(app_state(), partial(user_of, dict(cookies)))


def visiting_desk(cookies: Mapping[str, str]) -> Desk:
    """The same for a browser that needn't be signed in."""
    try:
        return Desk(app_state(), user_of(cookies))
    except ForbiddenError:
        return Desk(app_state(), NOBODY)


def principal() -> Principal:
    """The user of this session. Ends the run if the token is no longer valid."""
    try:
        return user_of(st.context.cookies)
    except ForbiddenError:
        st.error("Sign in again. 请重新登录。")
        st.stop()


def desk() -> Desk:
    """What this session's user may see and do. Ends the run as `principal`."""
    principal()
    return desk_of(st.context.cookies)


def view(name: str | None = None) -> View:
    """A knowledge base as this session's user sees it: that of the session, or another.

    Raises:
        NotFoundError: there is none of this name, or none at all, that the user may read.
    """
    return desk().base(name or kb_name())


def admin() -> AppState:
    """The whole home, for who manages all knowledge bases.

    Raises:
        ForbiddenError: this session's user doesn't.
    """
    desk().expect_admin()
    return app_state()


def not_followed(base: View) -> list[KBError]:
    """Which of a knowledge base's folders aren't watched now, and why; nothing for who doesn't manage it."""
    return app_state().problems(base.name) if base.may("manage") else []


def is_admin() -> bool:
    return principal().is_admin


def chosen() -> Settings:
    """The settings in force. They name folders of this machine: only admins see more than models' names."""
    return app_state().settings


def installed_models(kind: str) -> list[str]:
    """Names of the models of a kind that are installed."""
    return [model.name for model in app_state().installs.installed() if model.kind == kind]


_known: ContextVar[list[str] | None] = ContextVar("known", default=None)


@contextmanager
def known_bases() -> Iterator[list[str]]:
    """Names of the knowledge bases that may be read, listed once per run of the page."""
    known = desk().bases()
    token = _known.set(known)
    try:
        yield known
    finally:
        _known.reset(token)


def kb_names() -> list[str]:
    """The same within such a run; listed anew elsewhere."""
    known = _known.get()
    return desk().bases() if known is None else known


def kb_name() -> str:
    """The knowledge base of this session.

    Raises:
        NotFoundError: there is none that may be read.
    """
    known, usual = kb_names(), app_state().settings.kb
    wanted = st.session_state.get("kb") or st.query_params.get("kb") or usual
    if wanted not in known:
        wanted = usual if usual in known else (known[0] if known else "")
    if not wanted:
        raise NotFoundError(_("There is no knowledge base that you may read."), _("Ask whoever manages them."))
    st.session_state.kb = wanted
    return str(wanted)
