"""A home in use: open knowledge bases, conversations with their own files, answers and jobs.

One object per process, shared by all sessions.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from kb_assistant.base_settings import with_own
from kb_assistant.errors import BusyError, KBError, SettingsError, StoreError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.messages import _
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings
from kb_assistant.store.opening import open_home
from kb_assistant.workspace import bases
from kb_assistant.workspace.access import Access
from kb_assistant.workspace.answer_queue import AnswerQueue
from kb_assistant.workspace.chats import ChatStore
from kb_assistant.workspace.jobs import Jobs, unread_paths
from kb_assistant.workspace.model_installs import ModelInstalls
from kb_assistant.workspace.removals import delete_old_removals
from kb_assistant.workspace.shared_links import SharedLinks
from kb_assistant.workspace.told_ids import ToldIds

_log = logging.getLogger(__name__)

KEPT_HIDDEN_H = 24
"""Hours for which a hidden conversation can be brought back."""

_TRIES_AGAIN_S = 1.0

MOST_ATTACHED = 8
"""Most open knowledge bases of single conversations; then the least recently used one is closed."""


class Workspace:
    """The knowledge bases and services of a home, opened once. Threads may share it.

    Args:
        settings: Settings of its knowledge bases, except for their names and what they have of their own.
        fixed: Settings that count for more than those; see base_settings.given.
    """

    def __init__(self, settings: Settings, fixed: Collection[str] = ()) -> None:
        self.settings, self._fixed = settings, frozenset(fixed)
        self.home = open_home(settings.store, settings.home)
        self.chats = ChatStore(self.home)
        self.answers = AnswerQueue(self.chats)
        self.jobs = Jobs()
        self.access = Access(self.home)
        self.links = SharedLinks(self.home)
        self.ids = ToldIds(self.home)
        self.installs = ModelInstalls(ModelHome(settings.models_dir), self._use_installed)
        self._lock = threading.Lock()
        self._open: OrderedDict[str, KnowledgeBase] = OrderedDict()

    def named(self, name: str) -> Settings:
        """The settings of the knowledge base of that name.

        Raises:
            SettingsError: the name isn't valid.
        """
        return self.settings.but(kb=name)

    def base(self, name: str) -> KnowledgeBase:
        """The knowledge base of that name; all callers share one object while it is open."""
        with self._lock:
            found = self._open.get(name) or KnowledgeBase(with_own(self.named(name), self._fixed))
            self._open[name] = found
            self._open.move_to_end(name)
            surplus = self._take_surplus()
        for base in surplus:
            base.close()  # a caller that still reads it opens it again
        return found

    def answering(self, name: str) -> KnowledgeBase:
        """The same for an answer: with what it has of its own as it is now, whichever process or machine changed
        that.

        Raises:
            SettingsError: as for `base_settings.with_own`.
        """
        base, wanted = self.base(name), with_own(self.named(name), self._fixed)
        if base.settings != wanted:
            base.take_over(wanted)
        return base

    def opened(self) -> dict[str, KnowledgeBase]:
        """The knowledge bases that are open now, by name."""
        with self._lock:
            return dict(self._open)

    def attached(self, chat: str) -> KnowledgeBase:
        """The knowledge base for a conversation's own files."""
        return self.base(f"{bases.ATTACHED}{chat}")

    def beside(self, chat: str) -> list[KnowledgeBase]:
        """What is searched in addition to the conversation's knowledge base."""
        return [self.attached(chat)] if bases.exists(self.named(f"{bases.ATTACHED}{chat}")) else []

    def change(self, load: Callable[[], Settings]) -> None:
        """Use other settings from now on, and reopen everything with them.

        Args:
            load: Returns them; called while nothing can be opened.

        Raises:
            BusyError: an answer or other work is in progress.
        """
        with self._lock:
            if self.answers.busy() or any(map(self.jobs.busy, self._open.values())):
                raise BusyError(_("Work is going on."), _("Wait for it, or stop it; then change the setting."))
            self.settings = load()
            old, self._open = self._open, OrderedDict()
        while old:
            old.popitem()[1].close()
        gc.collect()  # an unused chat model takes gigabytes, and is part of reference cycles

    def _use_installed(self) -> None:
        """Reopen everything with the models that are there now, once nothing is in progress; and read what wasn't
        for want of them."""
        while True:
            try:
                self.change(lambda: self.settings)
                break
            except BusyError:
                time.sleep(_TRIES_AGAIN_S)
        for name in (*bases.list_bases(self.settings), *bases.list_attached(self.settings)):
            with suppress(KBError):  # one that can't be opened says so where it is looked at
                base = self.base(name)
                if paths := unread_paths(self.jobs.of(base)):
                    self.jobs.ingest(base, paths)

    def close(self, name: str) -> None:
        """Close a knowledge base before it is renamed or deleted."""
        with self._lock:
            base = self._open.pop(name, None)
        if base is not None:
            base.close()

    def create_base(self, name: str) -> None:
        """Create an empty knowledge base; what was granted on an earlier one of this name doesn't hold for it.

        Raises:
            SettingsError: the name isn't valid, or is taken.
            StoreError: as for `bases.create_base`.
        """
        settings = self.named(_checked(name))
        if not bases.exists(settings):
            self.access.base_gone(name)
        bases.create_base(settings)

    def rename_base(self, old: str, new: str) -> None:
        """Rename a knowledge base; its conversations follow, and what is granted on it.

        Raises:
            BusyError: it is being written.
            SettingsError, StoreError: as for `bases.rename_base`.
        """
        if bases.exists(self.named(_checked(new))):
            raise StoreError(_("There is a knowledge base {name!r} already.", name=new), _("Choose another name."))
        if self.jobs.busy(self.base(old)):
            raise BusyError(_("Work on this knowledge base goes on."), _("Wait until it is done, then try again."))
        self.close(old)
        self.access.base_renamed(old, new)  # first: after a kill nobody sees more than before
        try:
            bases.rename_base(self.named(old), new)
        except KBError:
            self.access.base_renamed(new, old)
            raise
        try:
            self.chats.move(old, new)
        except KBError:
            bases.rename_base(self.named(new), old)
            self.access.base_renamed(new, old)
            raise

    def delete_base(self, name: str) -> None:
        """Delete a knowledge base with the files uploaded to it; its jobs are stopped first.

        Raises:
            BusyError: it is still being written; everything stays in place.
            StoreError: it can't be deleted.
        """
        settings = self.named(name)
        self.jobs.end(self.base(name), settings.lock_seconds)
        self.close(name)
        bases.delete_base(settings)
        self.access.base_gone(name)

    def delete_chat(self, chat: str) -> None:
        """Delete a conversation with its files; its answers and jobs are stopped first.

        Raises:
            BusyError, StoreError: as for `delete_base`.
        """
        for running in self.answers.everywhere(chat):
            running.stop()
        own = f"{bases.ATTACHED}{chat}"
        if bases.exists(self.named(own)):
            self.delete_base(own)
        self.links.end(chat)
        self.chats.delete(chat)

    def sweep(self) -> None:
        """Delete conversations that were hidden and sources that were removed long ago, and files of deleted
        conversations, which a kill left.

        Files being written now stay until the next sweep. So do files of conversations that aren't known to be
        deleted: the list of conversations may have been moved away.
        """
        long_ago = datetime.now(UTC) - timedelta(hours=KEPT_HIDDEN_H)
        for chat in self.chats.hidden_before(long_ago.isoformat(timespec="milliseconds")):
            with suppress(KBError):  # in use: the next sweep deletes it
                self.delete_chat(chat)
        delete_old_removals(self.settings)
        found = bases.list_attached(self.settings)
        deleted = self.chats.deleted() if found else set()
        for name in found:
            if name.removeprefix(bases.ATTACHED) in deleted:
                try:
                    self.delete_base(name)
                except KBError as error:
                    _log.warning("The files of a conversation that is gone can't be deleted: %s", error.message)

    def _take_surplus(self) -> list[KnowledgeBase]:
        """The idle conversations' knowledge bases beyond the limit."""
        own = [name for name in self._open if name.startswith(bases.ATTACHED)]
        idle = [name for name in own[:-MOST_ATTACHED] if not self.jobs.busy(self._open[name])]
        return [self._open.pop(name) for name in idle]


def _checked(name: str) -> str:
    """A name that isn't one of a conversation's files.

    Raises:
        SettingsError: it is.
    """
    if name.startswith(bases.ATTACHED):
        raise SettingsError(
            _("Names that begin with {prefix!r} are taken.", prefix=bases.ATTACHED), _("Choose another name.")
        )
    return name
