"""A saved turn in the form of the page's conversation element."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePath
from typing import Any

from kb_assistant import Dropped, Hit, Mark, SavedTurn
from kb_assistant.workspace.answer_queue import PendingAnswer
from kb_assistant.workspace.tables import without_bars
from ui.markdown_tree import tree
from ui.sanitize import short
from ui.strings import language, localized, say

PREVIEW_COLUMNS = 600
CARD_COLUMNS = 120
_NEAREST = 3

Shown = dict[str, Any]


def place(hit: Hit) -> str:
    """`pump.pdf, page 3, Care > Seals`"""
    parts = [PurePath(hit.source).name, *where(hit), hit.locator.heading or ""]
    return ", ".join(part for part in parts if part)


def where(hit: Hit) -> list[str]:
    """Page and lines in words, and whether the file is missing."""
    said = [] if hit.file == "there" else [say(f"file_{hit.file}")]
    if hit.locator.page is not None:
        said.append(say("page", n=hit.locator.page))
    if hit.locator.lines:
        first, last = hit.locator.lines
        said.append(say("line", a=first) if first == last else say("lines", a=first, b=last))
    return said


def shown(turn: SavedTurn, last: bool) -> Shown:
    """The turn as JSON for the browser. Finished turns are converted once."""
    return _shown(_Key(turn), last, language())


def live(running: PendingAnswer) -> Shown:
    """A running answer; its citations become chips when it is finished."""
    status = "" if running.text.strip() else say(running.stage, n=running.hits)
    return _base(running.turn, running.question, "live") | {
        "version": f"{len(running.text)} {status}",
        "tree": tree(running.text),
        "status": status,
        "live": True,
    }


class _Key:
    """A turn as a cache key: equal as long as nothing in it changes."""

    def __init__(self, turn: SavedTurn) -> None:
        self.turn = turn
        self._key = (turn.id, turn.state, turn.rating, turn.answer, len(turn.reply))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._key == other._key


@lru_cache(maxsize=2000)
def _shown(key: _Key, last: bool, lang: str) -> Shown:
    turn = key.turn
    hits = turn.hits
    found = turn.marks
    kind = _kind(turn)
    return _base(turn.id, turn.question, kind) | {
        "version": f"{turn.state} {turn.rating} {last} {lang} {hash(key)}",
        "tree": tree(turn.answer, found),
        "marks": [_mark(mark, hits) for mark in found],
        "head": _head(turn, kind),
        "note": localized(turn.reply.get("note", "")),
        "status": say(kind) if kind in ("stopped", "interrupted", "elsewhere") else _error(turn),
        "remarks": _remarks(turn, found),
        "sources": [] if kind == "refused" else _sources(hits, found),
        "nearest": [_near(n, hit) for n, hit in enumerate(hits[:_NEAREST], 1)] if kind == "refused" else [],
        "facts": _facts(turn),
        "prompted": bool(turn.reply.get("prompted")),
        "fact_line": _fact_line(turn),
        "rating": turn.rating,
        "copy": turn.answer,
        "last": last,
    }


def _base(turn: int, question: str, kind: str) -> Shown:
    return {
        "id": turn, "version": "", "question": question, "kind": kind, "tree": [], "marks": [], "head": "",
        "note": "", "status": "", "remarks": [], "nearest": [], "sources": [], "next": [], "facts": [],
        "prompted": False, "fact_line": "", "rating": 0, "copy": "", "last": False, "live": False,
    }  # fmt: skip


def _kind(turn: SavedTurn) -> str:
    if turn.state == "answering":  # not by this process, or it would be shown as it grows
        return "elsewhere"
    if turn.state != "done":
        return turn.state
    if turn.reply.get("refused"):
        return "refused"
    return "uncertain" if turn.reply.get("uncertain") else "done"


def _head(turn: SavedTurn, kind: str) -> str:
    """What stands above the answer."""
    if kind == "refused" and not turn.hits:
        reading = turn.reply.get("reading")
        if not reading:
            return say("nothing_to_search")
        return say("not_read_yet", n=reading["all_files"]) if reading["all_files"] else say("reading_begins")
    return say(kind) if kind == "refused" or (kind == "failed" and not turn.answer) else ""


def conditions_said(where: list[str]) -> str:
    """Conditions on sources in short: values without their fields, paths without their folders."""
    said = []
    for one in where:
        field, _, value = one.partition("=")
        if field in ("date>", "date<"):
            said.append(say("dated_from" if field == "date>" else "dated_to", day=value))
        else:
            said += [_PATTERN.sub(r"\1", part.strip("*")).rsplit("/", 1)[-1] for part in value.split("\n")]
    return ", ".join(said)


_PATTERN = re.compile(r"\[([*?[])\]")
"""A sign that stands for itself in a path's pattern."""


def _still_unread(turn: SavedTurn) -> list[str]:
    """Which documents an answer doesn't know, because they were still being read."""
    reading = turn.reply.get("reading")
    if not reading or not turn.hits:
        return []
    left = reading["all_files"] - reading["files"]
    return [say("some_unread", n=left, all=reading["all_files"])] if left > 0 else []


def _error(turn: SavedTurn) -> str:
    """Why an answer failed, or was interrupted."""
    parts = [localized(turn.reply.get(name, "")) for name in ("error", "hint")]
    if turn.state == "failed" and turn.answer:
        parts.insert(0, say("broken_off"))
    return " ".join(part for part in parts if part)


def _mark(mark: Mark, hits: tuple[Hit, ...]) -> Shown:
    hit = hits[mark.n - 1]
    return {
        "n": mark.n,
        "supported": mark.supported,
        "place": place(hit),
        "text": short(without_bars(hit.text), PREVIEW_COLUMNS),
        "doubt": say("unsupported"),
    }


def _near(n: int, hit: Hit) -> Shown:
    return {"n": n, "place": place(hit), "text": short(without_bars(hit.text), PREVIEW_COLUMNS // 2)}


def _sources(hits: tuple[Hit, ...], found: list[Mark]) -> list[Shown]:
    """Cards of the passages that the answer is from: first those that it cites, in their order."""
    cited = list(dict.fromkeys(mark.n for mark in found))
    order = [*cited, *(n for n in range(1, len(hits) + 1) if n not in cited)]
    return [
        {
            "n": n,
            "cited": n in cited,
            "file": PurePath(hits[n - 1].source).name,
            "type": PurePath(hits[n - 1].source).suffix[1:].upper()[:4] or "–",
            "place": " · ".join([*where(hits[n - 1]), hits[n - 1].locator.heading or ""]).strip(" ·"),
            "text": short(" ".join(without_bars(hits[n - 1].text).split()), CARD_COLUMNS),
        }
        for n in order
    ]


def _remarks(turn: SavedTurn, found: list[Mark]) -> list[str]:
    said = [say("by_itself")] if turn.reply.get("origin") == "model" else []
    said += _still_unread(turn)
    if where := turn.reply.get("where"):
        said.append(say("searched_in", what=conditions_said(where)))
    if turn.reply.get("cut"):
        said.append(say("cut"))
    if turn.reply.get("uncertain"):
        said.append(say("uncertain"))
    if not all(mark.supported for mark in found):
        said.append(say("some_unsupported"))
    dropped = turn.reply.get("dropped") or {}
    if any(dropped.values()):
        said.append(say("dropped", **Dropped(**dropped).to_json()))
    return said


def _fact_line(turn: SavedTurn) -> str:
    seconds = turn.reply.get("seconds") or {}
    parts = [say("passages", n=len(turn.hits))] if turn.hits else []
    if "total" in seconds:
        parts.append(say("total", n=f"{seconds['total']:.1f}"))
    return " · ".join(parts)


def _facts(turn: SavedTurn) -> list[str]:
    """The searched texts, the time, and the cost."""
    reply = turn.reply
    usage, seconds = reply.get("usage") or {}, reply.get("seconds") or {}
    facts = [f"{say('searched')}: {short(query, 300)}" for query in reply.get("queries", ())]
    if reply.get("queries") and "evidence" in reply:
        facts.append(say("evidence", n=f"{reply['evidence']:.2f}"))
    if "found" in seconds:
        facts.append(say("found_in", n=f"{seconds['found']:.1f}"))
    if model := reply.get("model"):
        facts.append(say("answered_by", name=model))
    if usage.get("prompt_tokens") is not None:
        counted = say("tokens", a=usage["prompt_tokens"], b=usage["completion_tokens"])
        reused = f" ({say('reused', n=usage['reused_tokens'])})" if usage.get("reused_tokens") else ""
        facts.append(counted + reused)
    if usage.get("tokens_per_s"):
        facts.append(say("speed", n=usage["tokens_per_s"]))
    return facts
