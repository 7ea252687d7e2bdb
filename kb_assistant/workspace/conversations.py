"""A principal's conversations. Rights are checked again whenever one is shown or goes on.

The right to what an answer rests on may have been taken away since it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Literal

from kb_assistant.errors import ForbiddenError, NotFoundError
from kb_assistant.messages import _
from kb_assistant.workspace import bases
from kb_assistant.workspace.chat_export import to_json, to_markdown
from kb_assistant.workspace.chat_search import FoundChat, find_in
from kb_assistant.workspace.chats import Chat, SavedTurn
from kb_assistant.workspace.seen_turns import seen_turns, without_places
from kb_assistant.workspace.view import View
from kb_assistant.workspace.workspace import Workspace

if TYPE_CHECKING:
    from kb_assistant.workspace.answer_queue import PendingAnswer
    from kb_assistant.workspace.jobs import Job
    from kb_assistant.workspace.rights import Principal
    from kb_assistant.workspace.shared_links import SharedLink

_TITLE = 60
"""Most characters of a question in a note's name."""


class Conversations:
    """Those of one principal; nobody else's are found."""

    def __init__(self, workspace: Workspace, who: Callable[[], Principal], base: Callable[[str], View]) -> None:
        self._workspace, self._who, self._base = workspace, who, base

    @property
    def _principal(self) -> Principal:
        return self._who()

    def all(self, search: str = "") -> list[Chat]:
        """Latest first; with `search`, those that contain all its words, as far as they may be seen."""
        return [found.chat for found in self.search(search)]

    def search(self, text: str, limit: int | None = None) -> list[FoundChat]:
        """Those that contain all words of a text, as far as they may be seen, with a line that does; latest first.

        Args:
            text: "" finds all of them, without lines.
            limit: Most that are found.
        """
        words = text.split()
        known = self._workspace.chats.of(self._principal.name, text)
        if not words:
            return [FoundChat(chat) for chat in known][:limit]
        found = (find_in(chat, self.turns(chat.id), words) for chat in known)
        return list(islice(filter(None, found), limit))

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
        return seen_turns(self._workspace, self._who, self.get(id_))

    def ask(
        self,
        id_: str,
        question: str,
        *,
        after: Callable[[], object] | None = None,
        instead_of: int | None = None,
        answers: str = "",
        where: Sequence[str] = (),
        model: str = "",
    ) -> int:
        """See AnswerQueue.ask. What is withheld is no part of the history.

        Raises:
            NotFoundError: as for `get` and for Desk.base.
        """
        chat = self.get(id_)
        base = self._base(chat.kb)
        return self._workspace.answers.ask(
            base,
            chat.id,
            question,
            beside=self.beside(chat.id),
            after=after,
            instead_of=instead_of,
            answers=answers,
            turns=lambda: self.turns(chat.id),
            where=where,
            model=model,
            reading=base.reading,
        )

    def running(self, id_: str) -> tuple[PendingAnswer, ...]:
        """Its answers in progress, on any machine; raises NotFoundError as `get`."""
        return self._workspace.answers.everywhere(self.get(id_).id)

    def attached(self, id_: str) -> View:
        """The knowledge base for a conversation's own files, which needn't exist yet.

        Raises:
            NotFoundError: as for `get`.
        """
        return View(self._workspace, f"{bases.ATTACHED}{self.get(id_).id}", self._who, "manage")

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

    def rate(self, id_: str, turn: int, rating: int, reason: str = "") -> None:
        """See ChatStore.rate; raises NotFoundError as `get`."""
        self._workspace.chats.rate(self.get(id_).id, turn, rating, reason)

    def prompt(self, id_: str, turn: int) -> str:
        """What the chat model was given for an answer: instructions, passages, and earlier turns. "" if none was
        asked, or if the principal doesn't manage the knowledge base: it names files, and earlier turns may tell of
        documents that may not be read any more.

        Raises:
            NotFoundError: as for `get` and Desk.base.
        """
        chat = self.get(id_)
        return self._workspace.chats.prompt(chat.id, turn) if self._base(chat.kb).may("manage") else ""

    def keep_note(self, id_: str, turn: int, folder: str) -> Job | None:
        """Put an answer into the conversation's knowledge base, as a document in this folder of the uploads. None
        if there is no such answer.

        Raises:
            NotFoundError: as for `get` and Desk.base.
            ForbiddenError, StoreError: as for View.upload.
        """
        saved = next((one for one in self.turns(id_) if one.id == turn and one.answer), None)
        if saved is None:
            return None
        note = f"# {' '.join(saved.question.split())}\n\n{saved.turn.answer}\n"
        title = " ".join(saved.question.replace("/", " ").split())[:_TITLE].strip()
        return self._base(self.get(id_).kb).upload([(f"{folder}/{title} {saved.id}.md", note.encode())])

    def export(self, id_: str, form: Literal["md", "json"]) -> str:
        """A conversation as the text of a file; raises NotFoundError as `get`."""
        chat, turns = self.get(id_), self.turns(id_)
        if not self._principal.may("write", chat.kb):
            turns = [without_places(turn) for turn in turns]
        return to_markdown(chat, turns) if form == "md" else to_json(chat, turns)

    def share(self, id_: str, *, without_token: bool = False) -> SharedLink:
        """Make a link that shows it to others, to read only, as far as they may read what answers rest on. An
        earlier link ends.

        Args:
            without_token: Whether it opens for everybody who has it, who then sees what everybody with a token may
                read of the knowledge base. Only who manages the knowledge base gives it away like that.

        Raises:
            NotFoundError: as for `get` and Desk.base.
            ForbiddenError: the principal doesn't manage its knowledge base.
        """
        chat = self.get(id_)
        self._base(chat.kb).expect("manage" if without_token else "read")
        return self._workspace.links.make(chat, without_token)

    def shared(self, id_: str) -> SharedLink | None:
        """The link that shows it to others; raises NotFoundError as `get`."""
        return self._workspace.links.of(self.get(id_).id)

    def end_share(self, id_: str) -> None:
        """End its link; raises NotFoundError as `get`."""
        self._workspace.links.end(self.get(id_).id)

    def hide(self, id_: str) -> None:
        """Stop its answers, and take it out of all lists, until it is brought back or deleted; raises
        NotFoundError as `get`."""
        for running in self.running(id_):
            running.stop()
        self._workspace.chats.hide(self.get(id_).id)

    def bring_back(self, id_: str) -> None:
        """Show a hidden one again; an unknown one is ignored."""
        if self._workspace.chats.get(self._principal.name, id_, hidden=True):
            self._workspace.chats.hide(id_, False)

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
