"""Commands on users: their names and groups, and the tokens by which the page, the HTTP API and MCP know them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Home, Json
from kb_assistant.errors import KBError, SettingsError
from kb_assistant.messages import _, here, join

if TYPE_CHECKING:
    from kb_assistant.workspace.access import Access
    from kb_assistant.workspace.register import Register, Token

tokens = typer.Typer(help="Tokens: by which users are known.", no_args_is_help=True, rich_markup_mode=None)
users = typer.Typer(help="Users and their groups.", no_args_is_help=True, rich_markup_mode=None)

_AGE = re.compile(r"(\d{1,5})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@tokens.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="Of the user.", show_default=False)],
    label: Annotated[str, typer.Option(help="What it is for: a user has one token for each.")] = "",
    expires: Annotated[
        str | None, typer.Option(help="After this time, 12h, 30d or 8w, or at the end of this day, 2027-01-31.")
    ] = None,
    kb: Annotated[
        list[str] | None, typer.Option("--kb", help="Only for this knowledge base; repeatable.", metavar="NAME")
    ] = None,
    right: Annotated[
        str, typer.Option(help="At most this: read, write or manage.", metavar="RIGHT", show_default=False)
    ] = "manage",
    read_only: Annotated[bool, typer.Option("--read-only", help="Short for --right read.")] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Make a token and print it, this once; an earlier one of that user and label no longer opens.

    A user who isn't known yet is added, with this right on the knowledge bases named, or on all. The token of a
    user who is known carries the user's rights, or less.
    """
    from kb_assistant.workspace.rights import EVERY_BASE, checked_right

    most, until = checked_right("read" if read_only else right), expires_at(expires)
    access = open_access(home)
    for base in kb or ():
        expect_base(home, base)
    if name not in access.register().users:
        access.put_user(name)
        for base in kb or (EVERY_BASE,):
            access.grant(base, f"user:{name}", most)
    token = access.new_token(name, label, expires=until, bases=kb or None, right=most)
    if json:
        made = next(one for one in access.register().tokens if token.startswith(f"{one.id}_"))
        show.as_json({"token": token, **made.to_json()})
    else:
        typer.echo(token)
    show.note(_("Only a hash of it is kept: note it now."))


@tokens.command("list")
def list_tokens(home: Home = None, json: Json = False) -> None:
    """List the tokens: by their first characters, with what they are for and when they were last used."""
    access = open_access(home)
    register, uses = access.register(), access.last_uses()
    rows = [_token_row(register, one, uses.get(one.id, "")) for one in sorted(register.tokens, key=_by_user)]
    if json:
        show.as_json(rows)
        return
    for row in rows:
        limits = [] if row["right"] == "manage" else [_("at most {right}", right=row["right"])]
        limits += [] if row["bases"] is None else [_("in {bases}", bases=",".join(row["bases"]))]
        facts = [
            row["label"],
            _("until {when}", when=row["expires"][:16]) if row["expires"] else "",
            _("expired") if row["expired"] else "",
            _("used {when}", when=row["last_used"][:16]) if row["last_used"] else _("never used"),
        ]
        may = show.left(join(limits) or _("as its user"), 16)
        show.line(f"{row['id']:<11}  {row['name']:<16}  {may}  {here(join(facts, ', '))}")


@tokens.command("rm")
def remove_token(
    name: Annotated[str, typer.Argument(help="Its first characters, or a user: all of its.", show_default=False)],
    home: Home = None,
) -> None:
    """Take a token away, or all of a user's; who is signed in with it is out at once."""
    access = open_access(home)
    if not access.revoke(name) and not access.remove(name):
        raise KBError(_("{name!r} has no token.", name=name), _("`kb token list` shows who has."))


@users.command("add")
def add_user(
    name: Annotated[str, typer.Argument(help="Of the user.", show_default=False)],
    group: Annotated[
        list[str] | None, typer.Option("--group", help="A group to be in; repeatable.", metavar="NAME")
    ] = None,
    no_groups: Annotated[bool, typer.Option("--no-groups", help="Leave all groups.")] = False,
    home: Home = None,
) -> None:
    """Add a user without any right yet, or set a user's groups; `kb grant add` gives rights."""
    open_access(home).put_user(name, [] if no_groups else group)


@users.command("list")
def list_users(home: Home = None, json: Json = False) -> None:
    """List the users with their groups and rights."""
    register = open_access(home).register()
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "groups": list(groups),
            "tokens": [token.id for token in register.tokens if token.user == name],
            "rights": register.rights_of(name),
        }
        for name, groups in sorted(register.users.items())
    ]
    if json:
        show.as_json(rows)
        return
    for row in rows:
        groups = f" ({', '.join(row['groups'])})" if row["groups"] else ""
        rights = ", ".join(f"{base} {right}" for base, right in row["rights"].items()) or here(_("no rights"))
        count = len(row["tokens"])
        tokens_of = _("1 token") if count == 1 else _("{count} tokens", count=count)
        show.line(f"{row['name']}{groups}: {rights}; {here(tokens_of)}")


@users.command("rm")
def remove_user(
    name: Annotated[str, typer.Argument(help="Of the user.", show_default=False)], home: Home = None
) -> None:
    """Remove a user, with its tokens and what was granted to it. Its conversations stay."""
    if not open_access(home).remove_user(name):
        raise KBError(_("There is no user {name!r}.", name=name), _("`kb user list` shows who there is."))


def open_access(home: Path | None) -> Access:
    from kb_assistant.settings import Settings
    from kb_assistant.workspace.access import Access

    return Access.of(Settings.load(home=home))


def expect_base(home: Path | None, name: str) -> None:
    """
    Raises:
        KBError: there is no knowledge base of this name.
    """
    from kb_assistant.settings import Settings
    from kb_assistant.workspace import bases

    if not bases.is_listed(Settings.load(home=home), name):
        raise KBError(
            _("There is no knowledge base {name!r}.", name=name),
            _("Make it first: kb ingest FOLDER --kb {name}", name=name),
        )


def expires_at(given: str | None) -> datetime | None:
    """The end of a token's life from `30d` or `2027-01-31`.

    Raises:
        SettingsError: it is neither, or it is over.
    """
    if given is None:
        return None
    now = datetime.now(UTC)
    try:
        if age := _AGE.fullmatch(given.strip().lower()):
            until = now + timedelta(**{_UNITS[age[2]]: int(age[1])})
        else:
            until = datetime.fromisoformat(given.strip())
            if len(given.strip()) <= len("2027-01-31"):
                until += timedelta(days=1)
            until = until if until.tzinfo else until.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        until = now
    if until <= now:
        raise SettingsError(
            _("{given!r} is no time to come.", given=given), _("Write 12h, 30d, 8w or a day such as 2027-01-31.")
        )
    return until


def _by_user(token: Token) -> tuple[str, str]:
    return token.user, token.label


def _token_row(register: Register, token: Token, last_used: str) -> dict[str, Any]:
    """What may be shown of a token; "name" and "role" are what earlier versions printed."""
    principal = register.principal(token)
    writes = principal is not None and any(
        principal.may("write", base) for base in (token.bases or register.rights_of(token.user))
    )
    return {
        "name": token.user,
        "role": "full" if writes else "read",
        **token.to_json(),
        "expired": token.is_expired(datetime.now(UTC)),
        "last_used": last_used,
    }
