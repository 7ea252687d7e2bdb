"""The next question: where it is searched, who answers, and what its files are for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import streamlit as st

from kb_assistant import Chat, KBError
from kb_assistant.settings import CHOICES
from kb_assistant.workspace.desk import View
from kb_assistant.workspace.scope import Scope
from ui.app_state import chosen, desk, installed_models, kb_name, principal, view
from ui.errors import attempt
from ui.opened import close_passage
from ui.options import MOST_MEGABYTES
from ui.sanitize import escaped, short, strip_invisible
from ui.strings import say
from ui.turn_view import conditions_said
from ui.uploads import too_much

LISTED_SOURCES = 500
"""Most sources offered by name; the others are found by their folder."""


def question_field(chat: Chat | None, base: View) -> None:
    """The field, and above it where is searched and who answers."""
    with st.bottom:
        with st.container(horizontal=True, key="how"):
            _choose_scope(base)
            _choose_answerer()
        st.chat_input(
            say("ask"), key="question", accept_file="multiple" if principal().may_write_any else False,
            max_upload_size=MOST_MEGABYTES, on_submit=attempt, args=(_take, chat),
        )  # fmt: skip


def scope() -> Scope:
    """Where this session's next questions are searched."""
    found = st.session_state.get("scope")
    return found if isinstance(found, Scope) else Scope()


def _choose_scope(base: View) -> None:
    said = conditions_said(scope().conditions())
    st.button(
        say("search_some", what=escaped(short(said, 40))) if said else say("search_all"),
        icon=":material/filter_alt:", type="tertiary", key="scope-box", on_click=attempt, args=(_open_scope,),
    )  # fmt: skip
    if st.session_state.pop("scope-open", False):
        _scope_dialog(base)


def _open_scope() -> None:
    st.session_state["scope-open"] = True


def _scope_dialog(base: View) -> None:
    """A dialog: above the field there isn't room enough for a list."""
    now = scope()

    @st.dialog(say("search_where"))
    def choose() -> None:
        with st.form("scope-form", border=False):
            _pills("types", base.types(), now.types)
            known = [source.path for source in base.sources(failed=False, limit=LISTED_SOURCES)]
            st.multiselect(
                say("sources"), known, default=[path for path in now.paths if path in known], key="scope-paths",
                format_func=lambda path: strip_invisible(path.rsplit("/", 1)[-1]), placeholder=say("all"),
            )  # fmt: skip
            st.text_input(say("folder_or_name"), value=now.name, key="scope-name")
            with st.container(horizontal=True):
                for name, day in (("since", now.since), ("until", now.until)):
                    given = date.fromisoformat(day) if day else None
                    st.date_input(say(f"dated_{name}"), value=given, key=f"scope-{name}")
            _pills("tags", base.tags(), now.tags)
            with st.container(horizontal=True):
                done = st.form_submit_button(say("apply"), type="primary", on_click=attempt, args=(_set_scope,))
                all_of_it = st.form_submit_button(say("search_everything"), on_click=attempt, args=(_clear_scope,))
        if done or all_of_it:
            st.rerun()

    choose()


def _pills(name: str, known: Sequence[str], chosen_ones: Sequence[str]) -> None:
    if known:
        st.pills(
            say(name), known, selection_mode="multi", key=f"scope-{name}", format_func=escaped,
            default=[one for one in chosen_ones if one in known],
        )  # fmt: skip


def _set_scope() -> None:
    state = st.session_state
    since, until = (state[f"scope-{name}"] for name in ("since", "until"))
    st.session_state.scope = Scope(
        tuple(state.get("scope-types") or ()),
        tuple(state["scope-paths"]),
        state["scope-name"].strip(),
        tuple(state.get("scope-tags") or ()),
        since.isoformat() if since else "",
        until.isoformat() if until else "",
    )


def _clear_scope() -> None:
    st.session_state.pop("scope", None)


def _choose_answerer() -> None:
    """Who answers this session's next questions, and from what."""
    known = CHOICES["answers"]
    names = {one: say(f"answers_{one}") for one in known}
    models = {one: model_name(one) for one in answerers()}
    with st.popover(say("answering_by"), icon=":material/smart_toy:", type="tertiary", key="answer-box"):
        st.selectbox(
            say("answers"), known, index=known.index(chosen().answers), key="answers",
            format_func=names.__getitem__,
        )  # fmt: skip
        st.selectbox(
            say("model_kind"), list(models), index=list(models).index(chosen().model), key="model",
            format_func=models.__getitem__,
        )  # fmt: skip


def answerers() -> list[str]:
    """Who can answer: the model of the settings first, then the other chat models, and quotes."""
    return list(dict.fromkeys((chosen().model, *installed_models("chat"), "extract")))


def model_name(model: str) -> str:
    """As it is shown: of a model that is named by its path, without the folders."""
    return say(f"model_{model}") if model in ("auto", "extract") else model.rsplit("/", 1)[-1]


def _other_than_settings(model: str) -> str:
    return "" if model == chosen().model else model


def _take(chat: Chat | None) -> None:
    """Handle a question, files, or both, from the chat input."""
    given = st.session_state.question
    text, files = (given, ()) if isinstance(given, str) else (given.text, given.files)
    if files:
        if problem := too_much(files):
            raise KBError(problem)
        st.session_state.dropped = {"files": list(files), "text": text}
    elif text.strip():
        ask(chat, text)


def ask(
    chat: Chat | None,
    question: str,
    after: Callable[[], object] | None = None,
    instead_of: int | None = None,
    model: str = "",
) -> None:
    """Ask, in a new conversation if none is open.

    Args:
        after: Returns once the files are read that the search waits for.
        instead_of: The turn that is asked again.
        model: Answers instead of the one that is chosen.
    """
    conversations = desk().conversations
    chat = chat or conversations.create(kb_name())
    st.session_state.chat, st.session_state.at_turn = chat.id, None
    conversations.ask(
        chat.id, question, after=after, instead_of=instead_of,
        answers=st.session_state.get("answers", ""), where=scope().conditions(view(chat.kb).naming()),
        model=_other_than_settings(model or st.session_state.get("model", "")),
    )  # fmt: skip


def ask_again(chat: Chat, turn: int, question: str | None = None, model: str = "") -> None:
    """Ask the last question again, possibly reworded, or of another model."""
    saved = desk().conversations.turns(chat.id)
    if not saved or saved[-1].id != turn or desk().conversations.running(chat.id):
        return
    close_passage()
    ask(chat, question or saved[-1].question, instead_of=turn, model=model)


def dropped_files(chat: Chat | None) -> None:
    """Ask the purpose of dropped files, then read them and ask the question that came with them."""
    dropped: dict[str, Any] | None = st.session_state.get("dropped")
    if not dropped:
        return
    files = dropped["files"]
    with st.container(border=True, key="dropped"):
        st.markdown(f"**{escaped(say('dropped_files', n=len(files)))}**")
        st.text(short(", ".join(strip_invisible(file.name) for file in files), 200))
        if dropped["text"].strip():
            st.caption(escaped(say("asked_then", question=short(dropped["text"], 200))))
        with st.container(horizontal=True):
            st.button(say("for_chat"), on_click=attempt, args=(_use, chat, True), type="primary")
            if view(chat.kb if chat else None).may("write"):
                st.button(say("for_kb", kb=escaped(kb_name())), on_click=attempt, args=(_use, chat, False))
            st.button(say("cancel"), on_click=attempt, args=(_drop,), key="drop-cancel")


def _drop() -> None:
    """Discard the dropped files."""
    del st.session_state.dropped


def _use(chat: Chat | None, alone: bool) -> None:
    """Read the dropped files, for the conversation only or for its knowledge base."""
    conversations, dropped = desk().conversations, st.session_state.dropped
    chat = chat or conversations.create(kb_name())
    st.session_state.chat = chat.id
    files = [(file.name, file.getvalue()) for file in dropped["files"]]
    base = conversations.attached(chat.id) if alone else view(chat.kb)
    job = conversations.attach(chat.id, files) if alone else base.upload(files)
    _drop()
    if dropped["text"].strip():
        ask(chat, dropped["text"], lambda: base.wait(job.id))
