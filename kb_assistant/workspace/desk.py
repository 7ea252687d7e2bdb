"""The one door to knowledge bases for everybody who isn't the owner of the machine: page, HTTP API and MCP.

A desk serves one principal. It hands out views of the knowledge bases that the principal may read; a view has no
way around its rights. What may not be read is told exactly as what isn't there.
"""

from __future__ import annotations

from collections.abc import Callable

from kb_assistant.errors import ForbiddenError, NotFoundError
from kb_assistant.messages import _
from kb_assistant.workspace import bases
from kb_assistant.workspace.chats import Chat, SavedTurn
from kb_assistant.workspace.conversations import Conversations
from kb_assistant.workspace.rights import ANYONE, NOBODY, Grant, Principal, Right
from kb_assistant.workspace.seen_turns import seen_turns, without_places
from kb_assistant.workspace.shared_links import SharedLink
from kb_assistant.workspace.view import View
from kb_assistant.workspace.workspace import Workspace

__all__ = ["Desk", "View"]


class Desk:
    """What one principal may see and do in a home.

    Args:
        who: The principal; or what finds it again each time, for a desk that outlasts a request: then what is
            taken away is gone at once.
    """

    def __init__(self, workspace: Workspace, who: Principal | Callable[[], Principal]) -> None:
        self._workspace = workspace
        self._who: Callable[[], Principal] = who if callable(who) else lambda: who

    @property
    def principal(self) -> Principal:
        return self._who()

    def bases(self) -> list[str]:
        """The names of the knowledge bases that it may read."""
        principal = self.principal
        return [name for name in bases.list_bases(self._workspace.settings) if principal.may("read", name)]

    def base(self, name: str, right: Right = "read") -> View:
        """A knowledge base.

        Raises:
            NotFoundError: there is none of this name that the principal may read.
            ForbiddenError: it may read it, but hasn't this right.
        """
        exists = bases.is_listed(self._workspace.settings, name)
        if not exists or self.principal.right_on(name) is None:
            raise NotFoundError(_("There is no knowledge base {name!r}.", name=name), _("See which there are."))
        view = View(self._workspace, name, self._who)
        view.expect(right)
        return view

    @property
    def conversations(self) -> Conversations:
        return Conversations(self._workspace, self._who, self.base)

    def create_base(self, name: str) -> View:
        """Create an empty knowledge base.

        Raises:
            ForbiddenError: the principal doesn't manage all knowledge bases.
            SettingsError, StoreError: as for `Workspace.create_base`.
        """
        self.expect_admin()
        self._workspace.create_base(name)
        return self.base(name)

    def shared(self, key: str) -> tuple[Chat, list[SavedTurn]]:
        """A conversation that its owner shares by this link, and its turns as far as the principal may see them.

        Raises:
            NotFoundError: there is no such link, or no such conversation, knowledge base or owner any more.
            ForbiddenError: the principal has no token, and the link asks for one; or its owner doesn't manage the
                knowledge base any more and gave it away to everybody.
        """
        link = self._workspace.links.find(key)
        chat = self._workspace.chats.get(link.owner, link.chat) if link else None
        if link is None or chat is None or not bases.is_listed(self._workspace.settings, chat.kb):
            raise NotFoundError(_("There is no such link any more."), _("Ask for a new one."))
        visitor = self._visitor(link, chat.kb)
        turns = seen_turns(self._workspace, lambda: visitor, chat)
        return chat, [without_places(turn) for turn in turns]

    def _visitor(self, link: SharedLink, kb: str) -> Principal:
        """Who looks by a link; raises as `shared`."""
        owner = self._workspace.access.user(link.owner)
        if owner is None:
            raise NotFoundError(_("There is no such link any more."), _("Ask for a new one."))
        if self.principal != NOBODY:
            return self.principal
        if not link.without_token or not owner.may("manage", kb):
            raise ForbiddenError(_("This link asks for a token."), _("Sign in."))
        return Principal("", grants=(Grant(kb, ANYONE, "read"),))

    def expect_admin(self) -> None:
        """
        Raises:
            ForbiddenError: the principal doesn't manage all knowledge bases.
        """
        if not self.principal.is_admin:
            raise ForbiddenError(
                _("Only who manages all knowledge bases may do this."), _("Ask somebody who manages all of them.")
            )
