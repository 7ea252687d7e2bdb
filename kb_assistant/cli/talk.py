"""Commands that answer: ask for one question, chat for a conversation."""

from __future__ import annotations

import json as json_module
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Adapter, Answers, Home, Json, K, Kb, Model, Where, open_kb, stopping
from kb_assistant.errors import KBError, QuestionError
from kb_assistant.messages import _, join
from kb_assistant.small_file import decode_text
from kb_assistant.types import Dropped, Turn

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from kb_assistant.answering.reply import Reply
    from kb_assistant.knowledge import KnowledgeBase

_HELP = _(
    "/sources shows the passages of the last answer, /new starts over, /quit leaves; Ctrl-C stops an answer."
)


def ask(
    question: Annotated[str, typer.Argument(help="Your question.", show_default=False)],
    history: Annotated[
        Path | None,
        typer.Option(
            help='File with the turns before: a JSON list of {"role": "user"|"assistant", "text"}; - is stdin.'
        ),
    ] = None,
    where: Where = None,
    answers: Answers = None,
    show_prompt: Annotated[
        bool, typer.Option("--show-prompt", help="Print what the chat model would be given; ask nothing.")
    ] = False,
    model: Model = None,
    adapter: Adapter = None,
    k: K = None,
    kb: Kb = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Answer one question from the documents, with citations."""
    with open_kb(kb, home, model=model, adapter=adapter, k=k, answers=answers) as base:
        told = _read_history(history) if history else ()
        reply = base.ask(question, told, where=where or ())
        if show_prompt:
            _show_prompt(reply.prompt, json)
            return
        if json:
            with stopping(reply.stop):
                show.as_json(reply.to_json())
        else:
            _stream(reply)
    if reply.stopped:
        raise typer.Exit(130)


def chat(
    where: Where = None,
    answers: Answers = None,
    model: Model = None,
    adapter: Adapter = None,
    k: K = None,
    kb: Kb = None,
    home: Home = None,
) -> None:
    """Talk with the documents. Follow-up questions keep the thread."""
    with open_kb(kb, home, model=model, adapter=adapter, k=k, answers=answers) as base:
        base.store  # noqa: B018 - a missing knowledge base is said before the first question
        turns: list[Turn] = []
        last: Reply | None = None
        for line in _lines(base):
            if line in ("/quit", "/exit"):
                break
            if line == "/new":
                turns, last = [], None
                show.note(_("A new conversation."))
            elif line == "/sources":
                _show_sources(last)
            elif line.startswith("/"):
                show.note(_HELP)
            elif line:
                last = _turn(base, line, turns, where or ()) or last


def _turn(base: KnowledgeBase, question: str, turns: list[Turn], where: Sequence[str]) -> Reply | None:
    """One question of a chat. An error ends the turn, not the chat; a stopped answer counts."""
    hurried = threading.Event()
    # Libraries load at the first question and, broken off half-way, stay broken; and a Ctrl-C that comes a moment
    # after the answer is not meant for the chat.
    with stopping(hurried.set):
        try:
            reply = base.ask(question, turns, where=where)
            if hurried.is_set():
                show.note(_("Stopped before the answer."))
                return None
            _stream(reply)
        except KBError as error:
            show.note(error.full_message)
            return None
        turns.append(reply.turn)
    return reply


def _show_prompt(messages: Sequence[BaseMessage], json: bool) -> None:
    if not messages:
        show.note(_("No chat model would be asked: nothing relevant is found, or the answer is quoted."))
    told = [
        {"role": "assistant" if message.type == "ai" else "user", "text": str(message.text)}
        for message in messages
    ]
    if json:
        show.as_json(told)
        return
    for one in told:
        typer.echo(f"--- {one['role']}\n{show.plain(one['text'])}")


def _stream(reply: Reply) -> None:
    if reply.note:
        show.note(reply.note)
    with stopping(reply.stop), suppress(KeyboardInterrupt):  # a second Ctrl-C doesn't await the next token
        for piece in reply:
            typer.echo(show.plain(piece), nl=False)
    show.line(_(" … (stopped)") if reply.stopped else "")
    if reply.cut:
        show.note(_('The answer is cut: it is as long as may be. "continue" goes on; max_tokens allows more.'))
    if reply.refused:
        show.hits(reply.hits, width=120)
    else:
        show.citations(reply.citations, reply.answer)
    if reply.uncertain:
        show.note(_("Uncertain: the passages may not be about this. Look at them before you rely on the answer."))
    if reply.dropped:
        show.note(_left_out(reply.dropped))


def _left_out(left: Dropped) -> str:
    out = _(
        "Left out for want of room: {turns} earlier turns, {passages} passages.",
        turns=left.turns,
        passages=left.passages,
    )
    return join([out, _("{count} earlier answers are shortened.", count=left.shortened) if left.shortened else ""])


def _show_sources(last: Reply | None) -> None:
    if last is None:
        show.note(_("No answer yet."))
    elif not last.hits:
        show.note(_("Nothing was searched for the last answer."))
    else:
        show.note(_("Searched: {query}", query=last.query))
        show.hits(last.hits, width=1000)


def _lines(base: KnowledgeBase) -> Iterator[str]:
    """Questions: edited on a terminal, else read from stdin and shown."""
    if not sys.stdin.isatty():
        for line in sys.stdin:
            if line.strip():
                typer.echo(f"\n> {line.strip()}")
                yield line.strip()
        return
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory

    show.note(_HELP)
    session: PromptSession[str] = PromptSession(history=FileHistory(str(base.settings.kb_dir / "questions.txt")))
    while True:
        try:
            yield session.prompt("> ").strip()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def _read_history(path: Path) -> list[dict[str, Any]]:
    try:
        text = sys.stdin.read() if str(path) == "-" else decode_text(path.read_bytes())
        messages = json_module.loads(text.removeprefix("\ufeff"))
    except (OSError, ValueError) as error:
        raise QuestionError(
            _("The history {path} can't be read: {reason}.", path=path, reason=error),
            _("It is a JSON list of messages."),
        ) from error
    if not isinstance(messages, list):
        raise QuestionError(
            _("The history {path} isn't a list.", path=path), _("It is a JSON list of messages, oldest first.")
        )
    return messages
