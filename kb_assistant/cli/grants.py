"""Commands on rights: who may do what with a knowledge base, and who may read which documents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Home, Json, Kb, open_kb
from kb_assistant.cli.users import expect_base, open_access
from kb_assistant.errors import KBError
from kb_assistant.messages import _

grants = typer.Typer(
    help="Rights on knowledge bases, by user, group or anyone.", no_args_is_help=True, rich_markup_mode=None
)
readers = typer.Typer(
    help="Who may read which documents of a knowledge base.", no_args_is_help=True, rich_markup_mode=None
)

_WHO = "NAME, user:NAME, group:NAME or anyone"
Who = Annotated[str, typer.Argument(help=f"{_WHO}: everybody who has a token.", show_default=False)]
Every = Annotated[bool, typer.Option("--all", help="Every knowledge base, also later ones.")]
Paths = Annotated[
    list[str], typer.Argument(help="Files, folders, or documents as document:NAME.", show_default=False)
]


@grants.command("add")
def add_grant(
    who: Who,
    right: Annotated[str, typer.Argument(help="read, write or manage.", show_default=False)],
    kb: Kb = None,
    every: Every = False,
    home: Home = None,
) -> None:
    """Give a right on a knowledge base; it replaces the one that was given there to the same user or group.

    read: search, ask, see documents. write: add and remove them, too. manage: rename, delete, rebuild, say who may
    read what. Rights only add up: a group's smaller right takes nothing from a user's.
    """
    from kb_assistant.workspace.rights import checked_grantee, checked_right

    to, given = checked_grantee(who), checked_right(right)
    open_access(home).grant(_base(kb, every, home), to, given)


@grants.command("list")
def list_grants(kb: Kb = None, home: Home = None, json: Json = False) -> None:
    """List what was granted, on every knowledge base or one."""
    from kb_assistant.workspace.rights import EVERY_BASE

    found = [one for one in open_access(home).register().grants if kb is None or one.base in (kb, EVERY_BASE)]
    found.sort(key=lambda one: (one.base, one.to))
    if json:
        show.as_json([{"kb": one.base, "to": one.to, "right": one.right} for one in found])
    for one in () if json else found:
        typer.echo(show.plain(f"{one.base:<24} {one.right:<7} {one.to}"))


@grants.command("rm")
def remove_grant(who: Who, kb: Kb = None, every: Every = False, home: Home = None) -> None:
    """Take back what was granted to a user, a group, or anyone."""
    from kb_assistant.workspace.rights import EVERY_BASE, checked_grantee

    base = EVERY_BASE if every else _named(kb)
    if not open_access(home).withdraw(base, checked_grantee(who)):
        raise KBError(
            _("Nothing is granted to {who} on {base}.", who=who, base=base), _("`kb grant list` shows what is.")
        )


@readers.command("set")
def set_readers(
    paths: Paths,
    who: Annotated[
        list[str], typer.Option("--who", help=f"{_WHO}; repeatable.", metavar="WHO", show_default=False)
    ],
    kb: Kb = None,
    home: Home = None,
) -> None:
    """Say who may read what is at and under these paths, now and later; the nearest rule counts.

    It holds for the HTTP API and MCP. Who manages the knowledge base reads everything, and so does
    this command line.
    """
    with open_kb(kb, home) as base:
        expect_base(home, base.settings.kb)
        base.set_readers(paths, who)


@readers.command("list")
def list_readers(kb: Kb = None, home: Home = None, json: Json = False) -> None:
    """List the rules."""
    with open_kb(kb, home) as base:
        rules = base.reader_rules.rules
    if json:
        show.as_json([{"path": path, "readers": list(to)} for path, to in rules])
    for path, to in () if json else rules:
        typer.echo(show.plain(f"{path}: {', '.join(to)}"))


@readers.command("rm")
def remove_readers(paths: Paths, kb: Kb = None, home: Home = None) -> None:
    """Remove rules: then the rule above counts, or whoever may read the knowledge base reads it."""
    from kb_assistant.store.readers import rule_path

    with open_kb(kb, home) as base:
        known = {path for path, _to in base.reader_rules.rules}
        for path in paths:
            if rule_path(path) not in known:
                raise KBError(
                    _("There is no rule for {path!r}.", path=path), _("`kb readers list` shows which there are.")
                )
        base.set_readers(paths, None)


def _named(kb: str | None) -> str:
    if kb is None:
        raise KBError(_("Which knowledge base?"), _("Give --kb NAME, or --all."))
    return kb


def _base(kb: str | None, every: bool, home: Path | None) -> str:
    from kb_assistant.workspace.rights import EVERY_BASE

    if every:
        if kb is not None:
            raise KBError(_("These options don't go together."), _("Give --kb NAME, or --all."))
        return EVERY_BASE
    expect_base(home, _named(kb))
    return _named(kb)
