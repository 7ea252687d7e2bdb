"""A saved conversation as somebody may see it now: the right to what an answer rests on may have been taken away
since it was given, and who looks needn't be its owner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from kb_assistant.messages import _, without_folders
from kb_assistant.store.readers import Sighted
from kb_assistant.types import Hit
from kb_assistant.workspace.chats import Chat, SavedTurn
from kb_assistant.workspace.view import View
from kb_assistant.workspace.workspace import Workspace

if TYPE_CHECKING:
    from kb_assistant.workspace.rights import Principal


def seen_turns(workspace: Workspace, who: Callable[[], Principal], chat: Chat) -> list[SavedTurn]:
    """The turns of a conversation as somebody sees them, who needn't be its owner."""
    saved = workspace.chats.turns(chat.id)
    if not who().may("read", chat.kb):
        return [_withheld(turn) for turn in saved]
    view = View(workspace, chat.kb, who)
    if view.may("manage"):
        return saved
    sees = view.sight
    checked = saved if sees is None else [_checked(turn, sees, view) for turn in saved]
    return [_without_causes(turn) for turn in checked]


def _without_causes(turn: SavedTurn) -> SavedTurn:
    """The turn without the folders of this machine that an error names."""
    causes = {name: without_folders(turn.reply[name]) for name in ("error", "hint") if name in turn.reply}
    return replace(turn, reply={**turn.reply, **causes}) if causes else turn


def without_places(turn: SavedTurn) -> SavedTurn:
    """The turn with files' names for their paths, as for who isn't told of the folders of this machine."""
    reply = dict(_without_causes(turn).reply)
    for name in ("hits", "citations"):
        if name in reply:
            reply[name] = [_named(one) for one in reply[name]]
    if "where" in reply:
        reply["where"] = [one for one in reply["where"] if not one.startswith("path")]
    return replace(turn, reply=reply)


def _named(found: Mapping[str, Any]) -> dict[str, Any]:
    """A passage or a citation in its JSON form."""
    named = dict(found)
    if "source" in named:
        named["source"] = PurePath(named["source"]).name
    for name in ("also_in", "near_in"):
        if name in named:
            named[name] = [PurePath(path).name for path in named[name]]
    return named


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
