"""The chat page: a conversation, its passages, and the next question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from kb_assistant import Chat, KBError, SavedTurn
from kb_assistant.errors import NotFoundError
from kb_assistant.workspace.desk import View
from ui import components, turn_view
from ui.app_state import desk, kb_name, kb_names, view
from ui.asking import answerers, ask, ask_again, dropped_files, model_name, question_field
from ui.chat_list import chat_list
from ui.chat_menu import chat_head
from ui.document import document_panel
from ui.errors import attempt, show_error, show_problem, showing_errors
from ui.first_steps import first_steps, has_embedder
from ui.options import options
from ui.passage import passage_panel
from ui.sanitize import escaped, strip_invisible
from ui.strings import language, say, words

if TYPE_CHECKING:
    from kb_assistant.workspace.answer_queue import PendingAnswer

WINDOW = 30
"""Number of turns shown at first."""

_WORDS = (
    "you",
    "assistant",
    "copy",
    "copied",
    "retry",
    "edit",
    "send",
    "cancel",
    "good",
    "bad",
    "details",
    "nearest",
    "sources_of_answer",
    "also_read",
    "next_questions",
    "keep_note",
    "kept_note",
    "see_prompt",
)


def page() -> None:
    """The whole page except the head of the sidebar."""
    chat = current()
    with st.sidebar:
        chat_list(chat)
    show_problem()
    with showing_errors():
        _body(chat)


def current() -> Chat | None:
    """The open conversation: the session's, else the address's."""
    if "chat" not in st.session_state:
        st.session_state.chat = st.query_params.get("chat")
    id_ = st.session_state.chat
    if not id_:
        return None
    try:
        chat = desk().conversations.get(id_)
    except NotFoundError:
        st.toast(say("chat_gone"))
        st.session_state.chat = None
        return None
    if st.session_state.get("kb") != chat.kb and chat.kb in kb_names():
        st.session_state.kb = chat.kb
        st.session_state.pop("scope", None)  # of the other one's documents
    return chat


def _body(chat: Chat | None) -> None:
    # In this order: an answer that no longer runs was saved before, so the later read is complete.
    running = desk().conversations.running(chat.id) if chat else ()
    saved = desk().conversations.turns(chat.id) if chat else []
    if chat is not None:
        chat_head(chat)
    coming = {one.turn for one in running}
    finished = [turn for turn in saved if turn.id not in coming]
    if finished and chat is not None:
        _conversation(chat, finished, not running)
        if not running:
            _below(chat, finished[-1])
    if running and chat is not None:
        _live(chat.id, coming)
    base = _base(chat)
    if base is None:
        return
    if not saved:
        _empty(base)
    if chat is not None and (opened := st.session_state.get("passage")):
        passage_panel([base, *desk().conversations.beside(chat.id)], finished, opened)
    else:
        document_panel(base, *(desk().conversations.beside(chat.id) if chat else ()))
    if chat is not None and (turn := st.session_state.pop("why", None)):
        _ask_why(chat, turn)
    if chat is not None and (turn := st.session_state.pop("prompt_of", None)):
        _show_prompt(chat, turn)
    dropped_files(chat)
    question_field(chat, base)


def _base(chat: Chat | None) -> View | None:
    """What is asked; None, and said so, if the conversation's knowledge base is gone."""
    try:
        return view(chat.kb if chat else kb_name())
    except KBError as error:
        show_error(error)
        return None


def _below(chat: Chat, last: SavedTurn) -> None:
    """What can be done with the last answer besides its own buttons."""
    others = answerers()
    with st.container(horizontal=True, key="below"):
        if last.turn.cut:
            st.button(
                say("go_on"), icon=":material/more_horiz:", on_click=attempt, args=(ask, chat, say("go_on")),
                key="go-on",
            )  # fmt: skip
        if len(others) > 1:
            st.menu_button(
                say("again_with"), others, key="again-with", icon=":material/refresh:", type="tertiary",
                format_func=lambda one: escaped(model_name(one)), on_click=attempt,
                args=(_again_with, chat, last),
            )  # fmt: skip


def _again_with(chat: Chat, last: SavedTurn) -> None:
    ask_again(chat, last.id, model=st.session_state["again-with"])


def _conversation(chat: Chat, saved: Sequence[SavedTurn], idle: bool) -> None:
    at = st.session_state.get("at_turn")
    window = st.session_state.setdefault("window", max(WINDOW, _turns_from(saved, at)))
    hidden = max(0, len(saved) - window)
    if hidden:
        st.button(
            say("earlier", n=hidden), key="earlier", on_click=attempt, args=(_show_earlier, window),
        )  # fmt: skip
    shown = saved[hidden:]
    opened = st.session_state.get("passage") or {}
    key = f"turns-{chat.id}"

    def told(name: str) -> Any:
        return (st.session_state.get(key) or {}).get(name) or {}

    turns = [turn_view.shown(turn, idle and turn is shown[-1]) for turn in shown]
    if idle:
        turns[-1] = turns[-1] | _next(chat, shown[-1], turns[-1]["version"])
    components.conversation(
        {
            "chat": chat.id,
            "lang": language(),
            "words": words(*_WORDS),
            "turns": turns,
            "open": f"{opened.get('turn')}:{opened.get('mark')}" if opened else "",
            "follow": True,
            "at": at or 0,
            "may_keep": _may_write(chat),
            "may_see_prompt": chat.kb in kb_names() and view(chat.kb).may("manage"),
        },
        key=key,
        on_open_change=partial(attempt, lambda: st.session_state.update(passage=told("open"))),
        on_rate_change=partial(attempt, lambda: _rate(chat, told("rate"))),
        on_retry_change=partial(attempt, lambda: ask_again(chat, int(told("retry")["turn"]))),
        on_ask_change=partial(attempt, lambda: ask(chat, str(told("ask")["text"]))),
        on_note_change=partial(attempt, lambda: _keep_note(chat, int(told("note")["turn"]))),
        on_prompt_change=partial(attempt, lambda: st.session_state.update(prompt_of=int(told("prompt")["turn"]))),
        on_edit_change=partial(
            attempt, lambda: ask_again(chat, int(told("edit")["turn"]), str(told("edit")["text"]))
        ),
    )


def _turns_from(saved: Sequence[SavedTurn], turn: int | None) -> int:
    """How many turns there are from this one on; 0 without it."""
    return next((len(saved) - place for place, one in enumerate(saved) if one.id == turn), 0)


def _next(chat: Chat, last: SavedTurn, version: str) -> dict[str, Any]:
    """Questions that may come next."""
    if chat.kb not in kb_names():
        return {}
    base = view(chat.kb)
    questions = _follow_ups(base, last.id, base.seen_as, last)
    return {"next": questions, "version": f"{version} {len(questions)}"}


@st.cache_data(max_entries=200, show_spinner=False)
def _follow_ups(_base: View, turn: int, seen_as: object, _last: SavedTurn) -> list[str]:
    del turn, seen_as  # parts of the key
    return [strip_invisible(question) for question in _base.follow_up_questions(_last)]


def _may_write(chat: Chat) -> bool:
    return chat.kb in kb_names() and view(chat.kb).may("write")


def _keep_note(chat: Chat, turn: int) -> None:
    """Put an answer into the knowledge base as a note."""
    if desk().conversations.keep_note(chat.id, turn, say("notes_folder")):
        st.toast(say("kept_note"), icon=":material/note_add:")


def _show_earlier(window: int) -> None:
    st.session_state.window = window + 100


def _rate(chat: Chat, given: Mapping[str, Any]) -> None:
    turn, rating = int(given["turn"]), int(given["rating"])
    desk().conversations.rate(chat.id, turn, rating)
    if rating < 0:
        st.session_state.why = turn


def _ask_why(chat: Chat, turn: int) -> None:
    """What is bad about an answer; it may be left out."""

    @st.dialog(say("why_bad"))
    def ask_for_it() -> None:
        with st.form("why-form", border=False):
            kinds = ["why_wrong", "why_missing", "why_source", "why_form"]
            st.pills(say("reason"), kinds, format_func=say, key="why-kind", label_visibility="collapsed")
            st.text_input(say("why_text"), key="why-text", max_chars=500)
            if options().login:
                st.caption(say("why_seen"))
            done = st.form_submit_button(
                say("save"), type="primary", on_click=attempt, args=(_keep_why, chat.id, turn)
            )
        if done:
            st.rerun()  # closes it

    ask_for_it()


def _show_prompt(chat: Chat, turn: int) -> None:
    """What the model was given for an answer."""

    @st.dialog(say("see_prompt"), width="large")
    def show() -> None:
        st.code(strip_invisible(desk().conversations.prompt(chat.id, turn)), language=None, wrap_lines=True)

    show()


def _keep_why(chat: str, turn: int) -> None:
    kind, text = st.session_state.get("why-kind"), st.session_state.get("why-text", "").strip()
    desk().conversations.rate(
        chat, turn, -1, ": ".join(part for part in (say(kind) if kind else "", text) if part)
    )


def _live(chat: str, coming: set[int]) -> None:
    """The running answers, polled; the page is redrawn when one is finished."""

    @st.fragment(run_every=0.3)
    def follow() -> None:
        running = desk().conversations.running(chat)
        if {one.turn for one in running} != coming or "problem" in st.session_state:
            st.rerun(scope="app")  # the head of the page shows the problem
        components.conversation(
            {
                "chat": chat, "lang": language(), "words": words(*_WORDS), "open": "", "follow": True,
                "turns": [turn_view.live(one) for one in running],
            },
            key=f"live-{chat}",
        )  # fmt: skip
        with st.container(horizontal=True, key="stops"):
            st.button(
                say("stop"), icon=":material/stop_circle:", on_click=attempt, args=(running[0].stop,), key="stop"
            )
            if len(running) > 1:
                st.button(say("stop_queued"), on_click=attempt, args=(_stop_all, running[1:]), key="stop-queued")

    follow()


def _stop_all(running: Sequence[PendingAnswer]) -> None:
    for one in running:
        one.stop()


def _empty(base: View) -> None:
    if not has_embedder() or not base.count_sources(failed=False):
        first_steps(base)
        return
    st.header(say("hello"))
    seed = st.session_state.setdefault("seed", 0)
    if not (examples := base.example_questions(3, seed, language())):
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(say("try"))
        st.button(
            say("other_questions"), icon=":material/casino:", type="tertiary", key="other-questions",
            on_click=attempt, args=(_other_questions,),
        )  # fmt: skip
    with st.container(key="examples", gap="small"):
        for number, question in enumerate(examples):
            st.button(
                escaped(question), key=f"example-{number}", on_click=attempt, icon=":material/arrow_outward:",
                args=(ask, None, strip_invisible(question)), width="stretch",
            )  # fmt: skip


def _other_questions() -> None:
    st.session_state.seed += 1
