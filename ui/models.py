"""The models of the home: which are there, which are in use, and which can be installed."""

from __future__ import annotations

import streamlit as st

from kb_assistant import KBError, Settings, who_answers
from ui.app_state import admin, kb_name
from ui.errors import attempt, show_error
from ui.first_steps import models_to_install
from ui.sanitize import escaped
from ui.settings import model_setting, use_model
from ui.strings import languages, say


def models_section(settings: Settings) -> None:
    st.subheader(say("models"))
    home = admin().base(kb_name()).models
    try:
        answers, engine = who_answers(settings, home)
    except KBError as error:  # shown here, because another model can be chosen below
        show_error(error)
        answers, engine = settings.model, "–"
    said = say("engine_quotes") if engine == "quotes" else f"{escaped(answers)} · {engine}"
    st.markdown(f"**{say('model')}** · {said}")
    in_use = {settings.embedder, answers.partition("+")[0], settings.reranker}
    with st.container(key="models", gap="xsmall"):
        for model in home.installed():
            facts = [say(f"kind_{model.kind}"), model.licence, languages(model.languages)]
            _model(model.name, model.kind, " · ".join(filter(None, facts)), in_use=model.name in in_use)
    more = st.expander(say("more_models"), icon=":material/download:", key="more-models", on_change="rerun")
    if more.open:
        with more:
            models_to_install()


def _model(name: str, kind: str, told: str, *, in_use: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center", border=True, key=f"model-{name}"):
        st.markdown(f"**{escaped(name)}**  \n{escaped(told)}", width="stretch")
        if in_use:
            st.markdown(f":material/check_circle: {say('in_use')}", width="content")
        else:
            setting, fixed = model_setting(kind)
            st.button(
                say("use"), key=f"use-{name}", on_click=attempt, args=(use_model, setting, name),
                disabled=bool(fixed), help=fixed or None,
            )  # fmt: skip
