"""The chat page: a conversation, its passages, and the next question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from kb_assistant import Chat, SavedTurn
from kb_assistant.settings import CHOICES
from kb_assistant.workspace import bases, folders
from kb_assistant.workspace.chat_export import to_json, to_markdown
from kb_assistant.workspace.preview import example_questions
from ui import components, turn_view
from ui.app_state import app_state, kb_name, user
from ui.errors import attempt, attempt_change, show_problem, showing_errors
from ui.options import MEGABYTE, MOST_FILES, MOST_MEGABYTES, MOST_TOTAL_MEGABYTES
from ui.passage import close_passage, passage_panel
from ui.sanitize import escaped, short, size, strip_invisible
from ui.strings import language, say, words

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from kb_assistant.workspace.answer_queue import PendingAnswer

WINDOW = 30
"""Number of turns shown at first."""

LISTED = 30
"""Number of conversations listed at once."""

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
)


def page() -> None:
    """The whole page except the head of the sidebar."""
    chat = current()
    with st.sidebar:
        _choose_answers()
        _list(chat)
    show_problem()
    with showing_errors():
        _body(chat)


def _choose_answers() -> None:
    """Where answers may come from, for this session's next questions."""
    known = CHOICES["answers"]
    names = {one: say(f"answers_{one}") for one in known}
    st.selectbox(
        say("answers"), known, index=known.index(app_state().settings.answers), key="answers",
        format_func=names.__getitem__,
    )  # fmt: skip


def current() -> Chat | None:
    """The open conversation: the session's, else the address's."""
    if "chat" not in st.session_state:
        st.session_state.chat = st.query_params.get("chat")
    id_ = st.session_state.chat
    chat = app_state().chats.get(user().name, id_) if id_ else None
    if id_ and chat is None:
        st.toast(say("chat_gone"))
        st.session_state.chat = None
    if chat is not None and st.session_state.get("kb") != chat.kb and bases.exists(app_state().named(chat.kb)):
        st.session_state.kb = chat.kb
    return chat


def open_chat(id_: str | None) -> None:
    st.session_state.chat = id_
    st.session_state.pop("window", None)
    close_passage()


def _body(chat: Chat | None) -> None:
    # In this order: an answer that no longer runs was saved before, so the later read is complete.
    running = app_state().answers.running(chat.id) if chat else ()
    saved = app_state().chats.turns(chat.id) if chat else []
    if chat is not None:
        _head(chat)
    coming = {one.turn for one in running}
    finished = [turn for turn in saved if turn.id not in coming]
    if finished and chat is not None:
        _conversation(chat, finished, not running)
        if not running and finished[-1].turn.cut:
            st.button(
                say("go_on"), icon=":material/more_horiz:", on_click=attempt, args=(ask, chat, say("go_on")),
                key="go-on",
            )  # fmt: skip
    if running and chat is not None:
        _live(chat.id, coming)
    if not saved:
        _empty()
    if chat is not None and (opened := st.session_state.get("passage")):
        passage_panel(app_state().base(chat.kb), app_state().beside(chat.id), finished, opened)
    _dropped_files(chat)
    given = st.chat_input(
        say("ask"), key="question", accept_file="multiple" if user().may_write else False,
        max_upload_size=MOST_MEGABYTES,
    )  # fmt: skip
    if given:
        _take(chat, given if isinstance(given, str) else given.text, () if isinstance(given, str) else given.files)


def _conversation(chat: Chat, saved: Sequence[SavedTurn], idle: bool) -> None:
    window = st.session_state.setdefault("window", WINDOW)
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

    components.conversation(
        {
            "chat": chat.id,
            "lang": language(),
            "words": words(*_WORDS),
            "turns": [turn_view.shown(turn, idle and turn is shown[-1]) for turn in shown],
            "open": f"{opened.get('turn')}:{opened.get('mark')}" if opened else "",
            "follow": True,
        },
        key=key,
        on_open_change=partial(attempt, lambda: st.session_state.update(passage=told("open"))),
        on_rate_change=partial(attempt, lambda: _rate(chat, told("rate"))),
        on_retry_change=partial(attempt, lambda: _again(chat, int(told("retry")["turn"]), None)),
        on_edit_change=partial(
            attempt, lambda: _again(chat, int(told("edit")["turn"]), str(told("edit")["text"]))
        ),
    )


def _show_earlier(window: int) -> None:
    st.session_state.window = window + 100


def _rate(chat: Chat, given: Mapping[str, Any]) -> None:
    app_state().chats.rate(chat.id, int(given["turn"]), int(given["rating"]))


def _live(chat: str, coming: set[int]) -> None:
    """The running answers, polled; the page is redrawn when one is finished."""

    @st.fragment(run_every=0.3)
    def follow() -> None:
        running = app_state().answers.running(chat)
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


def _take(chat: Chat | None, text: str, files: Sequence[UploadedFile]) -> None:
    """Handle a question, files, or both, from the chat input."""
    if files:
        if problem := too_much(files):
            st.error(problem)
            return
        st.session_state.dropped = {"files": list(files), "text": text}
    elif text.strip():
        ask(chat, text)
    st.rerun()


def too_much(files: Sequence[UploadedFile]) -> str:
    """Why these files aren't accepted, or ""."""
    if len(files) > MOST_FILES:
        return say("too_many", count=len(files), n=MOST_FILES)
    large = [file for file in files if file.size > MOST_MEGABYTES * MEGABYTE]
    if large:
        return say("too_large", file=escaped(large[0].name), n=MOST_MEGABYTES)
    if (total := sum(file.size for file in files)) > MOST_TOTAL_MEGABYTES * MEGABYTE:
        return say("too_much", size=size(total), n=MOST_TOTAL_MEGABYTES)
    return ""


def ask(chat: Chat | None, question: str, job: str | None = None, instead_of: int | None = None) -> None:
    """Ask, in a new conversation if none is open.

    Args:
        job: Reads files; the search waits for it.
        instead_of: The turn that is asked again.
    """
    here = app_state()
    chat = chat or here.chats.create(user().name, kb_name())
    st.session_state.chat = chat.id
    after = (lambda: here.jobs.wait(job)) if job else None
    here.answers.ask(
        here.base(chat.kb), chat.id, question, beside=here.beside(chat.id), after=after, instead_of=instead_of,
        answers=st.session_state.get("answers", ""),
    )  # fmt: skip


def _again(chat: Chat, turn: int, question: str | None) -> None:
    """Ask the last question again, possibly reworded."""
    saved = app_state().chats.turns(chat.id)
    if not saved or saved[-1].id != turn or app_state().answers.running(chat.id):
        return
    close_passage()
    ask(chat, question or saved[-1].question, instead_of=turn)


def _empty() -> None:
    st.header(say("hello"))
    base = app_state().base(kb_name())
    if not _sources(kb_name()):
        st.info(say("empty"))
        if user().may_write:
            st.page_link(
                st.session_state.pages["library"], label=say("add_documents"), icon=":material/upload_file:"
            )
        return
    seed = st.session_state.setdefault("seed", 0)
    examples = example_questions(base, seed=seed)
    if not examples:
        return
    st.caption(say("try"))
    for number, question in enumerate(examples):
        st.button(
            escaped(question), key=f"example-{number}", on_click=attempt,
            args=(ask, None, strip_invisible(question)), type="tertiary",
        )  # fmt: skip


def _sources(name: str) -> int:
    base = app_state().base(name)
    return base.count_sources(failed=False) if bases.exists(base.settings) else 0


def _dropped_files(chat: Chat | None) -> None:
    """Ask the purpose of dropped files, then read them and ask the question that came with them."""
    dropped = st.session_state.get("dropped")
    if not dropped:
        return
    files = dropped["files"]
    with st.container(border=True, key="dropped"):
        st.markdown(f"**{escaped(say('dropped_files', n=len(files)))}**")
        st.text(short(", ".join(strip_invisible(file.name) for file in files), 200))
        with st.container(horizontal=True):
            st.button(say("for_chat"), on_click=attempt_change, args=(_use, chat, True), type="primary")
            st.button(say("for_kb", kb=escaped(kb_name())), on_click=attempt_change, args=(_use, chat, False))
            st.button(say("cancel"), on_click=attempt, args=(_drop,), key="drop-cancel")


def _drop() -> None:
    """Discard the dropped files."""
    del st.session_state.dropped


def _use(chat: Chat | None, alone: bool) -> None:
    """Read the dropped files, for the conversation only or for its knowledge base."""
    here, dropped = app_state(), st.session_state.dropped
    chat = chat or here.chats.create(user().name, kb_name())
    st.session_state.chat = chat.id
    base = here.attached(chat.id) if alone else here.base(chat.kb)
    if not bases.exists(base.settings):
        bases.create_base(base.settings)
    paths = folders.put_uploads(base.settings, ((file.name, file.getvalue()) for file in dropped["files"]))
    job = here.jobs.ingest(base, paths)
    _drop()
    if dropped["text"].strip():
        ask(chat, dropped["text"], job.id)


def _list(chat: Chat | None) -> None:
    """The user's conversations, in the sidebar."""
    st.button(
        say("new_chat"), icon=":material/add:", on_click=attempt, args=(open_chat, None), width="stretch",
        key="new-chat",
    )  # fmt: skip
    search = st.text_input(
        say("search_chats"), key="search", placeholder=say("search_chats"), label_visibility="collapsed"
    )
    found = app_state().chats.of(user().name, search)
    if not found and search:
        st.caption(say("no_chats"))
    with st.container(key="chats", gap=None):
        for one in found[:LISTED]:
            st.button(
                escaped(short(one.title, 40)) or say("untitled"), key=f"chat-{one.id}", on_click=attempt,
                args=(open_chat, one.id), type="secondary" if chat and one.id == chat.id else "tertiary",
                width="stretch",
            )  # fmt: skip
    if len(found) > LISTED:
        st.caption(say("more_chats", n=len(found) - LISTED))


def _head(chat: Chat) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="head"):
        st.markdown(f"### {escaped(chat.title) or say('untitled')}")
        with st.popover(say("chat_menu"), icon=":material/more_horiz:"):
            title = st.text_input(
                say("name"), value=strip_invisible(chat.title), key=f"title-{chat.id}", max_chars=200
            )
            st.button(
                say("rename"), on_click=attempt, args=(app_state().chats.rename, chat.id, title), key="rename-chat"
            )
            st.download_button(
                say("export_md"), lambda: to_markdown(chat, app_state().chats.turns(chat.id)), "conversation.md",
                "text/markdown", on_click="ignore",
            )  # fmt: skip
            st.download_button(
                say("export_json"), lambda: to_json(chat, app_state().chats.turns(chat.id)), "conversation.json",
                "application/json", on_click="ignore",
            )  # fmt: skip
            if files := _own_files(chat):
                st.caption(say("own_files"))
                st.text("\n".join(files))
            st.caption(say("sure_chat"))
            st.button(say("delete"), on_click=attempt, args=(_delete, chat.id), key="delete-chat")


def _own_files(chat: Chat) -> list[str]:
    return [
        strip_invisible(source.path.rsplit("/", 1)[-1])
        for own in app_state().beside(chat.id)
        for source in own.sources()
    ]


def _delete(chat: str) -> None:
    app_state().delete_chat(chat)
    open_chat(None)
