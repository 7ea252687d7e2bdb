"""What all sessions of the page share: knowledge bases, conversations, answers, jobs; and who this session is."""

from __future__ import annotations

import gc
import threading
from contextlib import suppress
from typing import Any

import streamlit as st

from kb_assistant import Answering, ChatStore, Jobs, KBError, KnowledgeBase, Settings
from kb_assistant.errors import BusyError
from kb_assistant.messages import _
from kb_assistant.settings import write_setting
from kb_assistant.workspace import bases, folders
from kb_assistant.workspace.access import LOCAL, User
from kb_assistant.workspace.folder_sync import keep_in_step
from kb_assistant.workspace.preview import example_questions
from ui.gate import COOKIE, sessions
from ui.options import options


class Desk:
    """One for the process. Engines are opened once and used by every session."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.chats = ChatStore(settings.home / "chats.sqlite")
        self.answering = Answering(self.chats)
        self.jobs = Jobs()
        self._lock = threading.Lock()
        self._open: dict[str, KnowledgeBase] = {}

    def named(self, name: str) -> Settings:
        """The settings of the knowledge base of that name."""
        return self.settings.but(kb=name)

    def base(self, name: str) -> KnowledgeBase:
        """The knowledge base of that name; the same object for everybody."""
        with self._lock:
            if name not in self._open:
                self._open[name] = KnowledgeBase(self.named(name))
            return self._open[name]

    def attached(self, chat: str) -> KnowledgeBase:
        """The knowledge base for a conversation's own files."""
        return self.base(f"{bases.ATTACHED}{chat}")

    def beside(self, chat: str) -> list[KnowledgeBase]:
        """What is searched besides the conversation's knowledge base."""
        own = self.attached(chat)
        return [own] if bases.exists(own.settings) else []

    def begin(self) -> None:
        """What is done once, so that no page and no question has to wait: watch the folders that were named, open
        the knowledge base, load the embedder. Where that fails, the page will say why."""
        keep_in_step(self.jobs, lambda: [self.base(one) for one in bases.list_bases(self.settings)])
        with suppress(KBError):
            base = self.base(self.settings.kb)
            example_questions(base)
            base.search("?", 1)

    def change_setting(self, name: str, value: Any) -> None:
        """Keep a setting in kb.toml, None for its default, and open everything anew with it.

        Raises:
            BusyError: an answer or other work is going on.
            SettingsError, StoreError: as for `write_setting`.
        """
        with self._lock:
            flags = options().flags
            if self.answering.busy() or any(self.jobs.busy(base) for base in self._open.values()):
                raise BusyError(_("Work is going on."), _("Wait for it, or stop it; then change the setting."))
            write_setting(self.settings.home, name, value, **flags)
            self.settings = Settings.load(**flags)
            old, self._open = self._open, {}
        for base in old.values():
            base.close()
        del old
        gc.collect()  # a chat model that isn't used any more takes gigabytes, and is part of cycles

    def close(self, name: str) -> None:
        """Let go of a knowledge base that is to be renamed or deleted."""
        with self._lock:
            base = self._open.pop(name, None)
        if base is not None:
            base.close()

    def delete_base(self, name: str) -> None:
        self.close(name)
        folders.delete_uploads(self.named(name))
        bases.delete_base(self.named(name))

    def delete_chat(self, chat: str) -> None:
        """A conversation with its own files."""
        for running in self.answering.running(chat):
            running.stop()
        self.chats.delete(chat)
        if bases.exists(self.named(f"{bases.ATTACHED}{chat}")):
            self.delete_base(f"{bases.ATTACHED}{chat}")


@st.cache_resource(show_spinner=False)
def desk() -> Desk:
    shared = Desk(Settings.load(**options().flags))
    if not bases.list_bases(shared.settings):
        bases.create_base(shared.settings)
    return shared


def user() -> User:
    """Who this session is. Ends the run where the token is no longer good."""
    if not options().login:
        return User(LOCAL, "full")
    found = sessions.find(st.context.cookies.get(COOKIE, ""))
    if found is None:
        st.error("Sign in again. 请重新登录。")
        st.stop()
    return found


def kb_name() -> str:
    """The knowledge base this session works with."""
    known = bases.list_bases(desk().settings)
    chosen = st.session_state.get("kb") or st.query_params.get("kb") or desk().settings.kb
    if chosen not in known:
        chosen = desk().settings.kb if desk().settings.kb in known else (known[0] if known else "")
    if not chosen:
        raise KBError(_("There is no knowledge base."), _("Make one."))
    st.session_state.kb = chosen
    return str(chosen)
