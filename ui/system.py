"""The page of models and settings: what answers, on what, how fast; and every setting with its meaning."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kb_assistant import Settings
from kb_assistant.doctor import Finding, examine
from kb_assistant.machine import memory
from kb_assistant.settings import defaults, meanings
from ui.desk import desk, kb_name, user
from ui.plain import escaped, plain, size
from ui.settings_zh import MEANINGS
from ui.strings import language, say


def page() -> None:
    st.header(say("system"))
    base = desk().base(kb_name())
    state = base.status()
    used, free = memory()
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
    _settings(base.settings)


def _index(facts: dict[str, Any] | None) -> str:
    if not facts:
        return say("index_none")
    told = [say("index_facts", kind=say(f"kind_{facts['kind']}"), vectors=f"{facts['vectors']:,}")]
    if (recall := facts.get("recall@10")) is not None:
        told.append(say("index_recall", n=f"{recall:.0%}"))
    return ", ".join(told)


def _last_speed() -> float | None:
    """Tokens a second of this user's latest answer that tells."""
    for chat in desk().chats.of(user().name)[:5]:
        for turn in reversed(desk().chats.turns(chat.id)):
            if found := (turn.reply.get("usage") or {}).get("tokens_per_s"):
                return float(found)
    return None


def _models(settings: Settings) -> None:
    st.subheader(say("models"))
    in_use = {settings.embedder, settings.model, settings.reranker}
    lines = []
    for model in desk().base(kb_name()).models.installed():
        mark = f" · **{say('in_use')}**" if model.name in in_use else ""
        lines.append(f"- {escaped(model.name)} · {say(f'kind_{model.kind}')}{mark}")
    st.markdown("\n".join([*lines, f"- {say('model')}: {escaped(settings.model)}"]))


def _finding(finding: Finding) -> None:
    sign = {"ok": "✓", "missing": "–", "broken": "✗"}[finding.state]
    st.text(
        plain(
            f"{sign} {finding.subject}: {finding.detail}" + (f"\n   → {finding.advice}" if finding.advice else "")
        )
    )


def _settings(settings: Settings) -> None:
    st.subheader(say("settings"))
    st.caption(escaped(say("settings_hint", file=str(settings.home / "kb.toml"))))
    lines = []
    for (name, default), meaning in zip(defaults().items(), meanings().values(), strict=True):
        value = _shown(getattr(settings, name))
        usual = "" if getattr(settings, name) == default else f" ({say('default')}: {_shown(default)})"
        told = MEANINGS[name] if language() == "zh" else meaning
        lines.append(f"- **{escaped(name)}** = {value}{usual}  \n  {told}")
    st.markdown("\n".join(lines))


def _shown(value: Any) -> str:
    return "–" if value is None or value == "" else escaped(str(value))
