"""Settings, changed in place: the few that matter in three cards, the others below. They are kept in kb.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from kb_assistant import Settings
from kb_assistant.base_settings import OWN
from kb_assistant.messages import translate_words
from kb_assistant.settings import CHOICES, LENGTHS, TYPES, defaults, meanings, origins
from ui.app_state import admin, installed_models, kb_name, view
from ui.errors import attempt
from ui.options import options
from ui.sanitize import escaped
from ui.strings import language, say

_PLACES = ("home", "kb", "base_url", "store", "uploads")
"""Not changeable here: whoever starts the page decides on locations and on the receiver of questions."""

_MODELS = {"embedder": ("embedder", ()), "model": ("chat", ("auto", "extract")), "reranker": ("reranker", ("",))}
"""Settings that name a model of a kind: an installed one, or one of these words. No paths: a user who may upload
files could have them loaded."""

_LONG_TEXTS = ("prompt_template",)

_AFTERWARDS = {"embedder": "after_embedder", "chunk_tokens": "after_chunks", "overlap": "after_chunks"}

_CARDS = {
    "card_answers": ("model", "answers", "answer_length", "answer_language", "k"),
    "card_search": ("reranker", "answer_reader", "rewrite"),
    "card_reading": ("embedder", "file_megabytes", "ocr_pages", "read_seconds"),
}
"""What most users want to change, by card. The card of searching has the strictness, too."""

_STRICTNESS: dict[str, tuple[float | None, float | None]] = {
    "strict_most": (0.8, 0.95),
    "strict_more": (0.65, 0.85),
    "strict_measured": (None, None),
    "strict_less": (0.3, 0.6),
    "strict_least": (0.1, 0.4),
}
"""Values of refuse_below and uncertain_below, which go together."""


def settings_section(now: Settings) -> None:
    st.subheader(say("settings"))
    places = origins(**options().flags)
    with st.container(horizontal=True, key="setting-cards"):
        for card, names in _CARDS.items():
            with st.container(border=True, key=card):
                st.markdown(f"**{say(card)}**")
                for name in names:
                    _field(now, name, places, say(f"set_{name}"))
                if card == "card_search":
                    _strictness(now, places)
    _advanced(now, places)


def _advanced(now: Settings, places: Mapping[str, str]) -> None:
    known = {name for names in _CARDS.values() for name in names}
    box = st.expander(say("advanced"), icon=":material/tune:", key="advanced", on_change="rerun")
    if not box.open:
        return
    with box:
        st.caption(escaped(say("settings_hint", file=str(now.home / "kb.toml"))))
        with st.container(key="advanced-fields"):
            for name in defaults():
                if name not in (*_PLACES, *known):
                    with st.container(key=f"advanced-{name}", gap="xxsmall"):
                        _field(now, name, places, name)
                        st.caption(_meaning(name))


def _field(now: Settings, name: str, places: Mapping[str, str], label: str) -> None:
    """One setting: what is entered is kept at once.

    The value is the field's default as well: where the page was left and come back to, a browser may send the
    default before it hears of the value, and that would be kept.
    """
    value, key = getattr(now, name), f"set-{name}"
    if st.session_state.get(key, key) != value:  # changed elsewhere, or what was entered was refused
        st.session_state[key] = value
    fixed = _fixed(name, places)
    how: dict[str, Any] = {
        "key": key, "disabled": bool(fixed), "help": "\n\n".join(filter(None, (_meaning(name), fixed))),
        "on_change": attempt, "args": (_keep, name, key),
    }  # fmt: skip
    if known := _words(name, value):
        shown = {one: _word(name, one) for one in known}
        new = name == "answer_length"  # also a number of words
        how |= {"accept_new_options": new, "format_func": lambda one: shown.get(one, one)}
        st.selectbox(label, known, index=list(known).index(value), **how)
    elif name in _LONG_TEXTS:
        st.text_area(label, value=value, **how)
    elif TYPES[name] is str:
        st.text_input(label, value=value, placeholder=say("unset"), **how)
    else:
        number = {"step": 1} if TYPES[name] is int else {"step": 0.1, "format": "%g"}
        st.number_input(label, value=value, placeholder=say("unset"), **number, **how)
    _level(name, places, fixed)
    if name in _AFTERWARDS and value != defaults()[name]:
        st.caption(say(_AFTERWARDS[name]))
    if not fixed and value != defaults()[name]:
        _back(name)


def _level(name: str, places: Mapping[str, str], fixed: str) -> None:
    """Where the value comes from, unless it is the default, and whether this knowledge base has another."""
    if fixed:
        st.caption(fixed)
    elif name in places:
        st.caption(say("level_home"))
    if name in OWN and (own := view().own_settings().get(name)):
        st.caption(escaped(say("level_kb", kb=kb_name(), value=_word(name, own))))


def _back(name: str) -> None:
    st.button(
        say("to_default", value=_word(name, defaults()[name])), key=f"unset-{name}", on_click=attempt,
        args=(_change, {name: None}), type="tertiary", icon=":material/undo:",
    )  # fmt: skip


def _fixed(name: str, places: Mapping[str, str]) -> str:
    """Why it can't be changed here, or ""."""
    place = places.get(name, "")
    fixed = place in ("arguments", "environment")
    return say(f"fixed_{place}", variable=f"KB_{name.upper()}") if fixed else ""


def _words(name: str, value: Any) -> Sequence[str]:
    """What can be chosen, with the present value; none where it is typed."""
    if name == "adapter":
        found = ["", *_trained("lora", "prefix")]
    elif name == "answer_reader":
        found = ["on", "off", *_trained("reader")]
    elif name == "answer_length":
        found = list(LENGTHS)
    elif name in _MODELS:
        kind, others = _MODELS[name]
        found = [*others, *installed_models(kind)]
    elif name in CHOICES:
        found = list(CHOICES[name])
    else:
        return ()
    return list(dict.fromkeys((*found, value)))


def _trained(*methods: str) -> list[str]:
    return [one.name for one in admin().base(kb_name()).adapters.trained() if one.method in methods]


def _word(name: str, value: Any) -> str:
    """A value in plain words where it has some."""
    if value is None or value == "":
        return say("unset")
    key = f"{name}_{value}"
    return say(key) if key in _NAMED else escaped(str(value))


_NAMED = {
    "answers_documents", "answers_documents-first", "answers_model", "model_auto", "model_extract",
    "answer_length_short", "answer_length_medium", "answer_length_long", "answer_reader_on", "answer_reader_off",
    "rewrite_off", "rewrite_model",
}  # fmt: skip


def _strictness(now: Settings, places: Mapping[str, str]) -> None:
    """How much evidence an answer takes."""
    pair = (now.refuse_below, now.uncertain_below)
    own = {} if pair in _STRICTNESS.values() else {"strict_own": pair}
    steps = dict(sorted({**_STRICTNESS, **own}.items(), key=lambda one: -(one[1][0] or 0.5)))
    present = next(name for name, values in steps.items() if values == pair)
    if st.session_state.get("set-strictness") != present:
        st.session_state["set-strictness"] = present
    shown = {name: say(name) for name in steps}
    fixed = _fixed("refuse_below", places) or _fixed("uncertain_below", places)
    st.select_slider(
        say("set_strictness"), list(steps), format_func=shown.__getitem__, key="set-strictness",
        value=present, disabled=bool(fixed), help=fixed or say("strictness_help"), on_change=attempt,
        args=(_keep_strictness,),
    )  # fmt: skip


def _keep_strictness() -> None:
    if values := _STRICTNESS.get(st.session_state["set-strictness"]):
        _change({"refuse_below": values[0], "uncertain_below": values[1]})


def _keep(name: str, key: str) -> None:
    """Keep what the field holds now."""
    value = st.session_state[key]
    unset = value is None or (value == "" and defaults()[name] == "")
    _change({name: None if unset or value == defaults()[name] else value})


def _change(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        admin().change_setting(name, value)
    st.toast(say("setting_kept"), icon=":material/check:")


def model_setting(kind: str) -> tuple[str, str]:
    """The setting that names the model of a kind, and why it can't be changed here, or ""."""
    name = next(name for name, (one, _) in _MODELS.items() if one == kind)
    return name, _fixed(name, origins(**options().flags))


def use_model(setting: str, model: str) -> None:
    """Let an installed model do what models of its kind do."""
    _change({setting: model})


def _meaning(name: str) -> str:
    return escaped(translate_words(meanings()[name], language()))
