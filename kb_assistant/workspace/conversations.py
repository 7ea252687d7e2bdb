"""A principal's conversations. Rights are checked again whenever one is shown or goes on.

The right to what an answer rests on may have been taken away since it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from kb_assistant.errors import ForbiddenError, NotFoundError
from kb_assistant.messages import _
from kb_assistant.store.readers import Sighted
from kb_assistant.types import Hit
from kb_assistant.workspace import bases
from kb_assistant.workspace.chats import Chat, SavedTurn
from kb_assistant.workspace.view import View
from kb_assistant.workspace.workspace import Workspace

if TYPE_CHECKING:
    from kb_assistant.workspace.jobs import Job
    from kb_assistant.workspace.rights import Principal


class Conversations:
    """Those of one principal; nobody else's are found."""

    def __init__(self, workspace: Workspace, principal: Principal, base: Callable[[str], View]) -> None:
        self._workspace, self._principal, self._base = workspace, principal, base

    def all(self, search: str = "") -> list[Chat]:
        """Latest first; with `search`, those that contain all its words, as far as they may be seen."""
        found = self._workspace.chats.of(self._principal.name, search)
        words = search.casefold().split()
        return [chat for chat in found if not words or all(word in self._told(chat) for word in words)]

    def _told(self, chat: Chat) -> str:
        """The words of a conversation, without withheld answers."""
        turns = self.turns(chat.id)
        return " ".join([chat.title, *(f"{one.question} {one.answer}" for one in turns)]).casefold()

    def get(self, id_: str) -> Chat:
        """
        Raises:
            NotFoundError: the principal has none of this id.
        """
        found = self._workspace.chats.get(self._principal.name, id_)
        if found is None:
            raise NotFoundError(_("There is no conversation {id!r}.", id=id_), _("See which there are."))
        return found

    def create(self, base: str) -> Chat:
        """Begin one about a knowledge base.

        Raises:
            NotFoundError: as for Desk.base.
        """
        return self._workspace.chats.create(self._principal.name, self._base(base).name)

    def turns(self, id_: str) -> list[SavedTurn]:
        """Its turns, oldest first. An answer that rests on what the principal may not read any more is withheld.

        Raises:
            NotFoundError: as for `get`.
        """
        chat = self.get(id_)
        saved = self._workspace.chats.turns(chat.id)
        if not self._principal.may("read", chat.kb):
            return [_withheld(turn) for turn in saved]
        view = View(self._workspace, chat.kb, self._principal, self._principal.right_on(chat.kb) or "read")
        sees = view.sight
        return saved if sees is None else [_checked(turn, sees, view) for turn in saved]

    def ask(
        self,
        id_: str,
        question: str,
        *,
        after: Callable[[], object] | None = None,
        instead_of: int | None = None,
        answers: str = "",
    ) -> int:
        """See AnswerQueue.ask. What is withheld is no part of the history.

        Raises:
            NotFoundError: as for `get` and for Desk.base.
        """
        chat = self.get(id_)
        return self._workspace.answers.ask(
            self._base(chat.kb),
            chat.id,
            question,
            beside=self.beside(chat.id),
            after=after,
            instead_of=instead_of,
            answers=answers,
            turns=lambda: self.turns(chat.id),
        )

    def attached(self, id_: str) -> View:
        """The knowledge base for a conversation's own files, which needn't exist yet.

        Raises:
            NotFoundError: as for `get`.
        """
        return View(self._workspace, f"{bases.ATTACHED}{self.get(id_).id}", self._principal, "manage")

    def attach(self, id_: str, files: Iterable[tuple[str, bytes]]) -> Job:
        """Save files of a conversation's own, by name, and begin to read them.

        Raises:
            NotFoundError: as for `get`.
            ForbiddenError: the principal may write nowhere.
            StoreError: they can't be saved.
        """
        own = self.attached(id_)
        if not self._principal.may_write_any:
            raise ForbiddenError(_("You may read only."), _("Use a token that may write."))
        settings = self._workspace.named(own.name)
        if not bases.exists(settings):
            bases.create_base(settings)
        return own.upload(files)

    def rename(self, id_: str, title: str) -> None:
        """Raises NotFoundError as `get`."""
        self._workspace.chats.rename(self.get(id_).id, title)

    def rate(self, id_: str, turn: int, rating: int) -> None:
        """See ChatStore.rate; raises NotFoundError as `get`."""
        self._workspace.chats.rate(self.get(id_).id, turn, rating)

    def delete(self, id_: str) -> None:
        """See Workspace.delete_chat; raises NotFoundError as `get`, too."""
        self._workspace.delete_chat(self.get(id_).id)

    def beside(self, id_: str) -> list[View]:
        """What is searched in addition to the conversation's knowledge base.

        Raises:
            NotFoundError: as for `get`.
        """
        own = self.attached(id_)
        return [own] if bases.exists(self._workspace.named(own.name)) else []


def _withheld(turn: SavedTurn) -> SavedTurn:
    """The question, which is the user's own, without the answer."""
    if not turn.answer and not turn.reply.get("hits"):
        return turn
    reason = _("This answer rests on documents that you may not read any more.")
    return replace(turn, answer="", state="failed", reply={"error": reason, "hint": ""})


def _checked(turn: SavedTurn, sees: Sighted, view: View) -> SavedTurn:
    hits = turn.hits
    if not all(sees(hit.source) for hit in hits) or (not hits and _names_hidden(turn.answer, sees, view)):
        return _withheld(turn)
    if all(sees(path) for hit in hits for path in (*hit.also_in, *hit.near_in)):
        return turn
    return replace(turn, reply={**turn.reply, "hits": [_discreet(hit, sees).to_json() for hit in hits]})


def _discreet(hit: Hit, sees: Sighted) -> Hit:
    return replace(
        hit, also_in=tuple(filter(sees, hit.also_in)), near_in=tuple(path for path in hit.near_in if sees(path))
    )


def _names_hidden(answer: str, sees: Sighted, view: View) -> bool:
    """Whether an answer without passages, such as a list of documents, names one that may not be read."""
    return bool(answer) and any(PurePath(path).name in answer for path in view.hidden_paths(sees))
