"""A conversation as a Markdown or a JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kb_assistant.workspace.chats import Chat, SavedTurn


def to_json(chat: Chat, turns: Sequence[SavedTurn]) -> str:
    """Everything stored of it."""
    value = {
        "title": chat.title,
        "kb": chat.kb,
        "created_at": chat.created_at,
        "changed_at": chat.changed_at,
        "turns": [turn.to_json() for turn in turns],
    }
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def to_markdown(chat: Chat, turns: Sequence[SavedTurn]) -> str:
    """For reading: questions as headings, answers, and their citations."""
    parts = [f"# {_line(chat.title)}", f"{chat.kb}, {chat.created_at[:16].replace('T', ' ')} UTC"]
    for turn in turns:
        parts += [f"## {_line(turn.question)}", turn.answer or f"*{turn.state}*"]
        if turn.reply.get("origin") == "model":
            parts.append(f"*{turn.reply['note']}*")
        if cited := _cited(turn):
            parts.append(cited)
    return "\n\n".join(parts) + "\n"


def _cited(turn: SavedTurn) -> str:
    hits = turn.hits
    lines = []
    for citation in turn.reply.get("citations", ()):
        hit = hits[citation["n"] - 1]
        place = ", ".join(part for part in (hit.source, str(hit.locator)) if part)
        doubt = "" if citation["supported"] else " (doesn't plainly say so)"
        lines.append(f"- [{citation['n']}] {_line(place)}{doubt}")
    return "\n".join(lines)


def _line(text: str) -> str:
    return " ".join(text.split())
