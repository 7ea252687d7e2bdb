"""Settings on the page, each with its meaning; users who may write change them permanently, in kb.toml."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kb_assistant import Settings
from kb_assistant.settings import CHOICES, TYPES, defaults, meanings, origins
from ui.app_state import app_state, kb_name, user
from ui.errors import attempt_change
from ui.options import options
from ui.sanitize import escaped
from ui.settings_zh import MEANINGS
from ui.strings import language, say

_PLACES = ("home", "kb", "base_url")
"""Not changeable here: whoever starts the page decides on locations and on the receiver of questions."""

_MODELS = {"embedder": ("embedder", ()), "model": ("chat", ("auto", "extract")), "reranker": ("reranker", ("",))}
"""Settings that name a model of a kind: an installed one, or one of these words. No paths: a user who may upload
files could have them loaded."""

_LONG_TEXTS = ("prompt_template",)

_AFTERWARDS = {"embedder": "after_embedder", "chunk_tokens": "after_chunks", "overlap": "after_chunks"}


def settings_section(now: Settings) -> None:
    st.subheader(say("settings"))
    if user().may_write:
        _change(now)
    st.caption(escaped(say("settings_hint", file=str(now.home / "kb.toml"))))
    lines = []
    for name, default in defaults().items():
        value = _shown(getattr(now, name))
        usual = "" if getattr(now, name) == default else f" ({say('default')}: {_shown(default)})"
        lines.append(f"- **{escaped(name)}** = {value}{usual}  \n  {_meaning(name)}")
    st.markdown("\n".join(lines))


def _change(now: Settings) -> None:
    with st.expander(say("change_setting"), icon=":material/edit:"):
        name = st.selectbox(
            say("setting"),
            [one for one in defaults() if one not in _PLACES],
            key="setting",
            help=say("setting_help"),
        )
        st.caption(_meaning(name))
        place = origins(**options().flags).get(name, "default")
        fixed = place in ("arguments", "environment")
        key = _field(now, name, fixed)
        if fixed:
            st.caption(say(f"fixed_{place}", variable=f"KB_{name.upper()}"))
        if name in _AFTERWARDS:
            st.caption(say(_AFTERWARDS[name]))
        with st.container(horizontal=True):
            st.button(
                say("save"), type="primary", key="save-setting", disabled=fixed, on_click=attempt_change,
                args=(_keep, name, key),
            )  # fmt: skip
            st.button(
                say("to_default", value=_shown(defaults()[name])), key="unset-setting", on_click=attempt_change,
                args=(_unset, name), disabled=fixed or place == "default",
            )  # fmt: skip


def _field(now: Settings, name: str, fixed: bool) -> str:
    """A suitable input field for the new value of a setting. Returns its key."""
    value, key = getattr(now, name), f"value-{name}-{getattr(now, name)}"
    if name in _MODELS or name in CHOICES:
        known = list(dict.fromkeys((*_words(name), value)))
        st.selectbox(
            say("value"), known, index=known.index(value), key=key, disabled=fixed,
            format_func=lambda one: one or "–",
        )  # fmt: skip
    elif name in _LONG_TEXTS:
        st.text_area(say("value"), value=value, key=key, disabled=fixed)
    elif TYPES[name] is str:
        st.text_input(say("value"), value=value, key=key, disabled=fixed)
    else:
        step = 1 if TYPES[name] is int else 0.1
        st.number_input(say("value"), value=value, step=step, key=key, disabled=fixed)
    return key


def _words(name: str) -> tuple[str, ...]:
    if name == "adapter":
        return "", *(adapter.name for adapter in app_state().base(kb_name()).adapters.trained())
    if name not in _MODELS:
        return CHOICES.get(name, ())
    kind, others = _MODELS[name]
    return *others, *(model.name for model in app_state().base(kb_name()).models.installed() if model.kind == kind)


def _keep(name: str, key: str) -> None:
    """Keep what the field holds now, which may have been typed after the page was drawn."""
    app_state().change_setting(name, st.session_state[key])
    st.toast(say("setting_kept", name=name))


def _unset(name: str) -> None:
    app_state().change_setting(name, None)
    st.toast(say("setting_kept", name=name))


def _meaning(name: str) -> str:
    return MEANINGS[name] if language() == "zh" else meanings()[name]


def _shown(value: Any) -> str:
    return "–" if value is None or value == "" else escaped(str(value))
