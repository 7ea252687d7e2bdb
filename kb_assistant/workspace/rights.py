"""Who may do what: principals with groups, and rights on knowledge bases that only add up.

`Principal.right_on` is the one function that decides it, for the page, the HTTP API and MCP alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

from kb_assistant.errors import SettingsError
from kb_assistant.messages import _
from kb_assistant.store.readers import ANYONE, LOCAL, checked_grantee, checked_name

__all__ = [
    "ANYONE",
    "EVERY_BASE",
    "LOCAL",
    "LOCAL_USER",
    "NOBODY",
    "RIGHTS",
    "Grant",
    "Principal",
    "Right",
    "audience_of",
    "checked_grantee",
    "checked_name",
    "checked_right",
]

Right = Literal["read", "write", "manage"]
"""read: search, ask, see passages. write: add and remove documents, too. manage: rename, delete, rebuild, verify,
and see every document, too. Each includes those before it."""

RIGHTS: tuple[Right, ...] = get_args(Right)

EVERY_BASE = "*"


@dataclass(frozen=True, slots=True)
class Grant:
    """A right that was given.

    Attributes:
        base: Name of a knowledge base, or EVERY_BASE.
        to: "user:NAME", "group:NAME" or ANYONE.
    """

    base: str
    to: str
    right: Right


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a user, by one of its tokens.

    Attributes:
        grants: Those to the user, to its groups, and to anyone.
        token: Id of the token; "" where none is needed.
        bases: The knowledge bases that the token is limited to; None for no limit.
        most: The widest right that the token carries.
    """

    name: str
    groups: frozenset[str] = frozenset()
    grants: tuple[Grant, ...] = ()
    token: str = ""
    bases: frozenset[str] | None = None
    most: Right = "manage"
    audience: frozenset[str] = field(init=False)
    """The names under which grants and readers of documents mean it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "audience", audience_of(self.name, self.groups))

    def right_on(self, base: str) -> Right | None:
        """The widest right on a knowledge base, which needn't exist; None for none."""
        if self.bases is not None and base not in self.bases:
            return None
        given = [one.right for one in self.grants if one.base in (base, EVERY_BASE) and one.to in self.audience]
        return min(max(given, key=RIGHTS.index), self.most, key=RIGHTS.index) if given else None

    def may(self, right: Right, base: str) -> bool:
        """Whether it has this right on a knowledge base, or a wider one."""
        found = self.right_on(base)
        return found is not None and RIGHTS.index(found) >= RIGHTS.index(right)

    @property
    def may_write_any(self) -> bool:
        """Whether it may write some knowledge base."""
        return self.widest in ("write", "manage")

    @property
    def widest(self) -> Right | None:
        """The widest right that it has on any knowledge base, which needn't exist; None for none."""
        named = {one.base for one in self.grants} | (self.bases or set())
        held = [right for base in named if (right := self.right_on(base))]
        return max(held, key=RIGHTS.index) if held else None

    @property
    def is_admin(self) -> bool:
        """Whether it manages every knowledge base: then it may create some, and say who may do what."""
        return self.bases is None and self.may("manage", EVERY_BASE)


def audience_of(name: str, groups: Iterable[str]) -> frozenset[str]:
    return frozenset((ANYONE, f"user:{name}", *(f"group:{group}" for group in groups)))


LOCAL_USER = Principal(LOCAL, grants=(Grant(EVERY_BASE, f"user:{LOCAL}", "manage"),))
"""Who uses the command line, and a page without tokens: whoever can read the home's files anyway."""

NOBODY = Principal("")
"""Whoever has no token."""


def checked_right(right: str) -> Right:
    """
    Raises:
        SettingsError: there is no such right.
    """
    found = next((one for one in RIGHTS if one == right), None)
    if found is None:
        raise SettingsError(_("There is no right {right!r}.", right=right), _("Choose read, write or manage."))
    return found
