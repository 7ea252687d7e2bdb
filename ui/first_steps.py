"""The first minute: one card with three steps, which fill as they are done: models, documents, a question."""

from __future__ import annotations

from pathlib import PurePath

import streamlit as st

from kb_assistant import KBError
from kb_assistant.workspace.desk import View
from kb_assistant.workspace.jobs import unread_paths
from kb_assistant.workspace.model_installs import Install, Installable
from kb_assistant.workspace.samples import sample_documents
from ui.app_state import admin, chosen, installed_models, is_admin
from ui.errors import attempt
from ui.options import options
from ui.sanitize import escaped, short, size
from ui.strings import languages, localized, say
from ui.uploads import drop_zone

LOOKS_EVERY_S = 1.0
_BEGUN = "install-begun"


def has_embedder() -> bool:
    """Whether documents can be read: an embedder of the settings' name is installed, or behind a server."""
    wanted = chosen().embedder
    return wanted in installed_models("embedder") or "/" in wanted or wanted.startswith("openai:")


def first_steps(base: View) -> None:
    """The card; it follows what is going on, and is drawn anew once a step is done."""
    may, ready = base.may("write"), has_embedder()
    with st.container(border=True, key="first-steps"):
        st.markdown(f"##### {say('first_title')}")
        _step(1, say("first_models"), done=ready)
        if is_admin() and not (ready and installed_models("chat")):
            models_to_install()
        _step(2, say("first_documents"), done=False)
        if may:
            _documents(base, ready)
        else:
            st.caption(say("first_ask_owner"))
        _step(3, say("first_ask"), done=False)


def _step(number: int, text: str, *, done: bool) -> None:
    sign = ":material/check_circle:" if done else f":material/counter_{number}:"
    st.markdown(f"{sign} **{text}**")


def models_to_install() -> None:
    """What can be installed; it follows what is being installed, and draws the page anew once that is done."""
    going = bool(admin().installs.running())

    @st.fragment(run_every=LOOKS_EVERY_S if going else None)
    def follow() -> None:
        ended = going and not admin().installs.running()
        if st.session_state.pop(_BEGUN, False) or ended or "problem" in st.session_state:
            st.rerun(scope="app")  # what was begun within the fragment, too, is followed from then on
        _offered()

    follow()


def _offered() -> None:
    """The models that can be installed, and one from a path."""
    for offer in admin().installs.offered():
        _offer(offer)
    st.caption(say("install_note"))
    if not options().login:  # whoever may upload files could have them loaded
        with st.popover(say("model_by_path"), type="tertiary"), st.form("model-by-path", border=False):
            st.text_input(say("model_path"), key="model-path", help=say("model_path_help"))
            st.form_submit_button(say("add"), on_click=attempt, args=(_add_model,))
        if path := st.session_state.get("model-added"):
            _outcome(admin().installs.last(path))


def _offer(offer: Installable) -> None:
    last = admin().installs.last(offer.name)
    with st.container(horizontal=True, vertical_alignment="center", key=f"offer-{offer.name}"):
        facts = [size(offer.download_bytes), offer.licence, languages(offer.languages)]
        st.markdown(
            f"**{say(f'use_{offer.kind}')}**  \n{escaped(offer.name)} · {escaped(' · '.join(facts))}",
            width="stretch",
        )
        if offer.installed:
            st.markdown(f":material/check: {say('installed')}", width="content")
        elif offer.too_big:
            st.markdown(f":material/block: {say(f'too_big_{offer.too_big}')}", width="content")
        elif last is None or last.state != "running":
            st.button(
                say("install"), key=f"install-{offer.name}", type="primary", on_click=attempt,
                args=(_install, offer.name),
            )  # fmt: skip
    if last is not None and not offer.installed:
        _outcome(last)


def _install(name: str) -> None:
    admin().installs.pull(name)
    st.session_state[_BEGUN] = True


def _outcome(last: Install | None) -> None:
    """How far an installation is, or why it failed."""
    if last is None:
        return
    if last.state == "running":
        share, name = last.share or 0.0, "adding" if "/" in last.name else "downloading"
        st.progress(share, say("unpacking" if share >= 1 else name, share=f"{share:.0%}"))
    elif last.state == "failed":
        st.error(f"{escaped(localized(last.error))}  \n{escaped(localized(last.hint))}")
    else:
        st.markdown(f":material/check: {escaped(last.name)} · {say('installed')}")


def _add_model() -> None:
    path = st.session_state["model-path"].strip()
    if not path:
        raise KBError(say("model_path_help"))
    st.session_state["model-added"] = path
    admin().installs.add(path)
    st.session_state[_BEGUN] = True


def _documents(base: View, ready: bool) -> None:
    drop_zone(base, "first")
    with st.container(horizontal=True, vertical_alignment="center"):
        if sample_documents():
            st.button(
                say("use_samples"), icon=":material/auto_stories:", key="use-samples", on_click=attempt,
                args=(base.add_samples,),
            )  # fmt: skip
        st.page_link(st.session_state.pages["library"], label=say("add_folder"), icon=":material/folder_open:")
    if not ready:
        waiting = unread_paths(base.jobs())
        if waiting:
            names = escaped(short(", ".join(PurePath(path).name for path in waiting), 120))
            st.markdown(f":material/hourglass_empty: {say('waits_for_models', n=len(waiting))}  \n{names}")
        else:
            st.caption(say("read_after_models"))
