"""The page of models and settings: the model, its device and speed; and every setting with its meaning."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kb_assistant import Finding, KnowledgeBase, examine, memory_use
from ui.app_state import admin, desk, kb_name
from ui.errors import show_problem
from ui.models import models_section
from ui.sanitize import escaped, size, strip_invisible
from ui.settings import settings_section
from ui.strings import localized, say


def page() -> None:
    st.header(say("system"))
    show_problem()
    base = admin().base(kb_name())
    models_section(base.settings)
    settings_section(base.settings)
    _machine(base)


def _machine(base: KnowledgeBase) -> None:
    """What this program takes of the machine, and what the machine lacks."""
    st.subheader(say("engine"))
    used, free = memory_use()
    facts = [f"{say('memory')}: {size(used)}", f"{say('free')}: {size(free)}"]
    if speed := _last_speed():
        facts.append(f"{say('last_speed')}: {say('speed', n=speed)}")
    facts.append(f"{say('index')}: {_index(base.status()['index'])}")
    with st.container(key="machine"):
        st.caption(escaped(" · ".join(facts)))
    if st.button(say("examine")):
        st.session_state.examined = examine(base.settings)
    for finding in st.session_state.get("examined", ()):
        _finding(finding)


def _index(facts: dict[str, Any] | None) -> str:
    if not facts:
        return say("index_none")
    parts = [say("index_facts", kind=say(f"kind_{facts['kind']}"), vectors=f"{facts['vectors']:,}")]
    if (recall := facts.get("recall@10")) is not None:
        parts.append(say("index_recall", n=f"{recall:.0%}"))
    return ", ".join(parts)


def _last_speed() -> float | None:
    """Tokens per second of this user's latest answer that reports them."""
    conversations = desk().conversations
    for chat in conversations.all()[:5]:
        for turn in reversed(conversations.turns(chat.id)):
            if found := (turn.reply.get("usage") or {}).get("tokens_per_s"):
                return float(found)
    return None


def _finding(finding: Finding) -> None:
    sign = {"ok": "✓", "missing": "–", "broken": "✗"}[finding.state]
    subject, detail, advice = (localized(text) for text in (finding.subject, finding.detail, finding.advice))
    st.text(strip_invisible(f"{sign} {subject}: {detail}" + (f"\n   → {advice}" if advice else "")))
