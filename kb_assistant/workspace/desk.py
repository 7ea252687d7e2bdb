"""The one door to knowledge bases for everybody who isn't the owner of the machine: page, HTTP API and MCP.

A desk serves one principal. It hands out views of the knowledge bases that the principal may read; a view has no
way around its rights. What may not be read is told exactly as what isn't there.
"""

from __future__ import annotations

from kb_assistant.errors import ForbiddenError, NotFoundError
from kb_assistant.messages import _
from kb_assistant.workspace import bases
from kb_assistant.workspace.conversations import Conversations
from kb_assistant.workspace.rights import Principal, Right
from kb_assistant.workspace.view import View
from kb_assistant.workspace.workspace import Workspace

__all__ = ["Desk", "View"]


class Desk:
    """What one principal may see and do in a home."""

    def __init__(self, workspace: Workspace, principal: Principal) -> None:
        self._workspace, self.principal = workspace, principal

    def bases(self) -> list[str]:
        """The names of the knowledge bases that it may read."""
        return [name for name in bases.list_bases(self._workspace.settings) if self.principal.may("read", name)]

    def base(self, name: str, right: Right = "read") -> View:
        """A knowledge base.

        Raises:
            NotFoundError: there is none of this name that the principal may read.
            ForbiddenError: it may read it, but hasn't this right.
        """
        exists = bases.is_listed(self._workspace.settings, name)
        held = self.principal.right_on(name)
        if not exists or held is None:
            raise NotFoundError(_("There is no knowledge base {name!r}.", name=name), _("See which there are."))
        view = View(self._workspace, name, self.principal, held)
        view.expect(right)
        return view

    @property
    def conversations(self) -> Conversations:
        return Conversations(self._workspace, self.principal, self.base)

    def create_base(self, name: str) -> View:
        """Create an empty knowledge base.

        Raises:
            ForbiddenError: the principal doesn't manage all knowledge bases.
            SettingsError, StoreError: as for `Workspace.create_base`.
        """
        if not self.principal.is_admin:
            raise ForbiddenError(
                _("You may not create knowledge bases."), _("Ask somebody who manages all of them.")
            )
        self._workspace.create_base(name)
        return self.base(name)
