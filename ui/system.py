"""The page of models and settings: the model, its device and speed; and every setting with its meaning."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kb_assistant import Finding, KBError, Settings, examine, memory_use, who_answers
from ui.app_state import app_state, kb_name, user
from ui.errors import show_error, show_problem
from ui.sanitize import escaped, size, strip_invisible
from ui.settings import settings_section
from ui.strings import localized, say


def page() -> None:
    st.header(say("system"))
    show_problem()
    base = app_state().base(kb_name())
    state = base.status()
    used, free = memory_use()
    with st.container(horizontal=True, key="machine"):
        st.metric(say("memory"), size(used))
        st.metric(say("free"), size(free))
        if speed := _last_speed():
            st.metric(say("last_speed"), say("speed", n=speed))
    st.text(f"{say('index')}: {_index(state['index'])}")
    _models(base.settings)
    st.subheader(say("engine"))
    if st.button(say("examine")):
        st.session_state.examined = examine(base.settings)
    for finding in st.session_state.get("examined", ()):
        _finding(finding)
    settings_section(base.settings)


def _index(facts: dict[str, Any] | None) -> str:
    if not facts:
        return say("index_none")
    parts = [say("index_facts", kind=say(f"kind_{facts['kind']}"), vectors=f"{facts['vectors']:,}")]
    if (recall := facts.get("recall@10")) is not None:
        parts.append(say("index_recall", n=f"{recall:.0%}"))
    return ", ".join(parts)


def _last_speed() -> float | None:
    """Tokens per second of this user's latest answer that reports them."""
    for chat in app_state().chats.of(user().name)[:5]:
        for turn in reversed(app_state().chats.turns(chat.id)):
            if found := (turn.reply.get("usage") or {}).get("tokens_per_s"):
                return float(found)
    return None


def _models(settings: Settings) -> None:
    st.subheader(say("models"))
    home = app_state().base(kb_name()).models
    try:
        answers, engine = who_answers(settings, home)
    except KBError as error:  # shown here, because another model can be chosen below
        show_error(error)
        answers, engine = settings.model, "–"
    in_use = {settings.embedder, answers.partition("+")[0], settings.reranker}
    lines = []
    for model in home.installed():
        mark = f" · **{say('in_use')}**" if model.name in in_use else ""
        lines.append(f"- {escaped(model.name)} · {say(f'kind_{model.kind}')}{mark}")
    said = say("engine_quotes") if engine == "quotes" else f"{escaped(answers)} · {engine}"
    st.markdown("\n".join([*lines, f"- **{say('model')}**: {said}"]))


def _finding(finding: Finding) -> None:
    sign = {"ok": "✓", "missing": "–", "broken": "✗"}[finding.state]
    subject, detail, advice = (localized(text) for text in (finding.subject, finding.detail, finding.advice))
    st.text(strip_invisible(f"{sign} {subject}: {detail}" + (f"\n   → {advice}" if advice else "")))
