"""The documents of a knowledge base as a table: chosen, ordered, opened, and worked on together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import PurePath
from typing import Any, get_args

import streamlit as st

from kb_assistant import Source
from kb_assistant.workspace.desk import View
from kb_assistant.workspace.removals import Removal
from kb_assistant.workspace.source_list import Facets, Order, SourceQuery, size_of
from ui import components
from ui.adding import read_again
from ui.errors import attempt
from ui.opened import open_document, opened_document
from ui.sanitize import escaped, short, size, strip_invisible
from ui.strings import language, localized, said_when, say, words
from ui.undo import offer_undo, undo_line

PER_PAGE = 50
REASONS = 3
"""Most reasons of failures that are named."""

_DAYS = {"any_time": 0, "day": 1, "week": 7, "month": 30}
_WORDS = ("file", "type", "folder_column", "size", "chunks", "date", "status", "select_all", "select", "sources")


def sources_section(base: View) -> None:
    st.subheader(say("sources"))
    undo_line("sources")
    if failed := base.count_sources(failed=True):
        _failed(base, failed)
    query = _query(base)
    found = base.count_found(query)
    if not found:
        st.caption(say("no_sources"))
        return
    pages = -(-found // PER_PAGE)
    number = max(0, min(st.session_state.get("page", 0), pages - 1))
    shown = base.find_sources(query, offset=number * PER_PAGE, limit=PER_PAGE)
    above = st.container()
    picked = _table(base, query, shown)
    if pages > 1:
        _pager(number, pages, found)
    if picked:
        with above:
            _bulk(base, query, found, picked, all_shown=len(picked) == len(shown))


def _failed(base: View, count: int) -> None:
    """What couldn't be read, by reason, and another try at all of it."""
    failed = base.find_sources(SourceQuery(failed=True), limit=1000)
    reasons = Counter(localized(source.reason) for source in failed).most_common(REASONS)
    may = base.may("write")  # reasons may name places of this machine
    with st.container(border=True, key="failed-sources", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/error: **{escaped(say('failed_count', n=count))}**", width="stretch")
            if may:
                paths = [source.path for source in failed]
                _password(base, [source.path for source in failed if "--password" in source.reason])
                st.button(say("try_again"), key="retry-all", on_click=attempt, args=(read_again, base, paths))
        for reason, times in reasons if may else ():
            st.caption(escaped(f"{times} × {short(reason, 200)}"))


def _password(base: View, locked: Sequence[str]) -> None:
    """Another try at the files that need a password, with one."""
    if not locked:
        return
    with st.popover(say("with_password"), icon=":material/key:"), st.form("password-form", border=False):
        st.text_input(say("password"), type="password", key="password", help=say("password_help"))
        st.form_submit_button(say("try_again"), on_click=attempt, args=(_with_password, base, locked))


def _with_password(base: View, locked: Sequence[str]) -> None:
    password, st.session_state["password"] = st.session_state["password"], ""
    if password:
        read_again(base, locked, [password])


def _query(base: View) -> SourceQuery:
    """What is chosen above the table."""
    known = _facets(base, base.name, base.revision, base.seen_as)
    with st.container(horizontal=True, vertical_alignment="bottom", key="source-filters"):
        contains = st.text_input(
            say("filter"), key="filter", icon=":material/search:", on_change=attempt, args=(_first_page,)
        )
        kind = _choice("type", known.kinds, str)
        folder = _choice("folder_column", known.folders, lambda one: base.place_of(one) or say("uploads"))
        since = st.selectbox(
            say("read_since"), list(_DAYS), format_func=say, key="since", on_change=attempt, args=(_first_page,)
        )
        which = st.segmented_control(
            say("which"), ["all", "only_read", "only_failed"], format_func=say, default="all", key="which",
            on_change=attempt, args=(_first_page,), required=True,
        )  # fmt: skip
    order, descending = st.session_state.get("order", ("name", False))
    return SourceQuery(
        contains=contains.strip(),
        failed={"only_read": False, "only_failed": True}.get(which or ""),
        kind=kind,
        folder=folder,
        since=_moment(_DAYS[since]),
        order=order,
        descending=descending,
    )


def _choice(name: str, known: Sequence[str], shown: Callable[[str], str]) -> str:
    """One of these, or "" for all."""
    chosen = st.selectbox(
        say(name), ["", *known], key=f"choose-{name}", on_change=attempt, args=(_first_page,),
        format_func=lambda one: strip_invisible(short(shown(one), 60)) if one else say("all"),
    )  # fmt: skip
    return chosen or ""


def _moment(days: int) -> str:
    """So many days ago, to the hour: the same query all the while."""
    ago = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=days)
    return ago.isoformat() if days else ""


@st.cache_data(max_entries=20, show_spinner=False)
def _facets(_base: View, kb: str, revision: str, seen_as: object) -> Facets:
    del kb, revision, seen_as  # the key
    return _base.facets()


def _first_page() -> None:
    st.session_state.page = 0


def _table(base: View, query: SourceQuery, shown: Sequence[Source]) -> list[str]:
    """The rows. Returns the paths of those that are selected."""
    paths = {_id(source.path): source.path for source in shown}
    may, opened = base.may("write"), opened_document()
    key = f"sources-{base.name}"
    chosen = components.sources(
        {
            "lang": language(),
            "words": words(*_WORDS),
            "may_select": may,
            "order": query.order,
            "descending": query.descending,
            "opened": _id(opened) if opened else "",
            "rows": [_row(source, base.place_of(source.path.rpartition("/")[0]), may) for source in shown],
        },
        key=key,
        on_open_change=partial(attempt, _open, key, paths),
        on_sort_change=partial(attempt, _sort, key),
        on_selected_change=partial(attempt, lambda: None),
    )
    return [paths[one] for one in chosen.get("selected") or () if one in paths]


def _id(path: str) -> str:
    return hashlib.sha256(path.encode("utf-8", "replace")).hexdigest()[:16]


def _row(source: Source, place: str, told: bool) -> dict[str, Any]:
    state = "failed" if source.failed else "read" if source.chunks else "nothing"
    return {
        "id": _id(source.path),
        "name": PurePath(source.path).name,
        "type": PurePath(source.path).suffix[1:].upper(),
        "folder": place or say("uploads"),
        "size": size(found) if (found := size_of(source.path)) is not None else "",
        "chunks": f"{source.chunks:,}",
        "date": said_when(source.ingested_at),
        "state": state,
        "said": say(f"source_{state}"),
        "reason": localized(source.reason) if told else "",
    }


def _open(key: str, paths: dict[str, str]) -> None:
    told = (st.session_state.get(key) or {}).get("open") or {}
    if path := paths.get(str(told.get("id"))):
        open_document(path)


def _sort(key: str) -> None:
    told = (st.session_state.get(key) or {}).get("sort") or {}
    if (order := told.get("order")) in get_args(Order):
        before, descending = st.session_state.get("order", ("name", False))
        st.session_state.order = (
            order,
            not descending if order == before else order in ("date", "chunks", "state"),
        )
        _first_page()


def _pager(number: int, pages: int, found: int) -> None:
    first, last = number * PER_PAGE + 1, min(found, (number + 1) * PER_PAGE)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="right", key="pager"):
        st.caption(say("shown_of", a=f"{first:,}", b=f"{last:,}", n=f"{found:,}"), width="content")
        for step, name, sign in ((-1, "previous", "chevron_left"), (1, "next", "chevron_right")):
            st.button(
                say(name), icon=f":material/{sign}:", key=f"page-{name}", on_click=attempt,
                args=(_turn, number + step), type="tertiary", disabled=not 0 <= number + step < pages,
            )  # fmt: skip


def _turn(number: int) -> None:
    st.session_state.page = number


def _bulk(base: View, query: SourceQuery, found: int, picked: list[str], *, all_shown: bool) -> None:
    """What is done with all that are selected."""
    every = (
        all_shown and found > len(picked) and st.checkbox(say("select_found", n=f"{found:,}"), key="every-found")
    )
    chosen = [source.path for source in base.find_sources(query)] if every else picked
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="bulk"):
        st.markdown(f"**{say('selected', n=f'{len(chosen):,}')}**", width="content")
        st.button(
            say("read_again"), icon=":material/refresh:", key="read-again", on_click=attempt,
            args=(read_again, base, chosen), help=say("read_again_help"),
        )  # fmt: skip
        st.button(
            say("remove"), icon=":material/delete:", key="remove-sources", on_click=attempt,
            args=(_remove, base, chosen), help=say("remove_help"),
        )  # fmt: skip


def _remove(base: View, paths: list[str]) -> None:
    done = base.take_out(paths)
    offer_undo("sources", say("removed_count", n=f"{len(paths):,}"), lambda: _bring_back(base, done))


def _bring_back(base: View, done: Removal) -> None:
    base.bring_back(done)
