"""A knowledge base as one principal may use it: its right, which sources it sees, and how paths are told to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from kb_assistant.errors import ForbiddenError, NotFoundError, StoreError
from kb_assistant.messages import _
from kb_assistant.retrieval.filters import parse_conditions
from kb_assistant.store.readers import ReaderRules, Sighted
from kb_assistant.workspace import (
    bases,
    discreet,
    folders,
    source_list,
)
from kb_assistant.workspace.rights import RIGHTS, Principal, Right
from kb_assistant.workspace.told_ids import ToldIds
from kb_assistant.workspace.workspace import Workspace

if TYPE_CHECKING:
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.retrieval.filters import Filter


class SeenBase:
    """A knowledge base and a principal: what it may do there, and what it sees.

    Args:
        who: Finds the principal, each time.
        given: A right that isn't granted, such as on the files of one's own conversation.
    """

    def __init__(
        self, workspace: Workspace, name: str, who: Callable[[], Principal], given: Right | None = None
    ) -> None:
        self._workspace, self.name, self._who, self._given = workspace, name, who, given

    @property
    def principal(self) -> Principal:
        return self._who()

    @property
    def right(self) -> Right:
        """The widest right that the principal has on it.

        Raises:
            NotFoundError: it has none any more.
        """
        found = self._given or self.principal.right_on(self.name)
        if found is None:
            raise NotFoundError(
                _("There is no knowledge base {name!r}.", name=self.name), _("See which there are.")
            )
        return found

    @property
    def _base(self) -> KnowledgeBase:
        """It, as long as it may be read; raises NotFoundError as `right`."""
        assert self.right
        return self._workspace.base(self.name)

    @property
    def _audience(self) -> frozenset[str] | None:
        """Whom searches are for; None finds everything: who manages it says who reads what, too."""
        return None if self.may("manage") else self.principal.audience

    @property
    def ids(self) -> ToldIds:
        """How ids of its passages and sources are told."""
        return self._workspace.ids

    @property
    def sight(self) -> Sighted | None:
        """Which sources it may read, which needn't exist; None for all."""
        seen_as = self.seen_as
        return seen_as and seen_as[0].seen_by(seen_as[1])

    @property
    def seen_as(self) -> tuple[ReaderRules, frozenset[str]] | None:
        """Two principals with an equal one see the same sources; None for all of them."""
        audience = self._audience
        rules = self._base.reader_rules if audience is not None else None
        return (rules, audience) if rules and audience is not None else None

    def sees(self, path: str) -> bool:
        """Whether it may read the source with this path, which needn't exist."""
        sees = self.sight
        return sees is None or sees(path)

    def naming(self, beside: Sequence[SeenBase] = ()) -> discreet.Naming:
        """How sources' paths are told: who doesn't manage it isn't told of the folders of this machine.

        Args:
            beside: Searched together with it; then everything is told only to who manages all of them.
        """
        views = (self, *beside)
        if all(view.may("manage") for view in views):
            return str
        return partial(source_list.name_in, [known for view in views if (known := view._known_folders())])

    def _known_folders(self) -> folders.Folders | None:
        try:
            return folders.folders_of(self._base.settings)
        except StoreError:
            return None

    def _conditions(self, where: Iterable[str | Filter], beside: Sequence[SeenBase] = ()) -> tuple[Filter, ...]:
        """
        Raises:
            QuestionError: a condition has the wrong form.
        """
        given, naming = parse_conditions(where), self.naming(beside)
        return given if naming is str else tuple(discreet.Named(one, naming) for one in given)

    def may(self, right: Right) -> bool:
        """Whether the principal has this right, or a wider one; raises NotFoundError as `right`."""
        return RIGHTS.index(self.right) >= RIGHTS.index(right)

    def expect(self, right: Right) -> None:
        """
        Raises:
            ForbiddenError: the principal hasn't this right.
        """
        if not self.may(right):
            raise ForbiddenError(
                _("You may not do this in the knowledge base {name!r}.", name=self.name),
                _("It takes the right to {right} it.", right=right),
            )

    def hidden_paths(self, sees: Sighted) -> list[str]:
        """The sources that may not be read; for checks, never to be told."""
        if not bases.exists(self._workspace.named(self.name)):
            return []
        with self._base.store.read() as snapshot:
            return [path for path in snapshot.paths() if not sees(path)]
