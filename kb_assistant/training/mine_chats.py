"""Conversations to learn from saved chats: turns with a thumb up, in exactly the prompt they were answered with.

Where that isn't kept, as in chats of earlier versions, it is rendered anew from the turns and passages. Turns with
a thumb down are never learned; they go to a list of what was wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from kb_assistant.answering.history import unfinished
from kb_assistant.answering.prompts import shortened
from kb_assistant.errors import DatasetError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.llm.base import RoleText
from kb_assistant.messages import _
from kb_assistant.store.readers import ANYONE
from kb_assistant.text.completion import Completed, completed
from kb_assistant.text.marks import unmarked
from kb_assistant.training.data import Conversation, Role
from kb_assistant.training.mine import passage_of
from kb_assistant.workspace.chats import Chat, ChatStore, SavedTurn


@dataclass(slots=True)
class FromChats:
    """What saved chats give.

    Attributes:
        good: Turns to learn.
        wrong: Turns with a thumb down: question, answer, sources of the passages, and when.
        left_out: Number of turns with a thumb up that can't be learned, by the reason.
    """

    good: list[Conversation] = field(default_factory=list)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)


def from_chats(kb: KnowledgeBase, chats: ChatStore, owners: Iterable[str]) -> FromChats:
    """The rated turns on a knowledge base.

    Args:
        owners: Whose chats; others agreed to nothing.

    Raises:
        DatasetError: no turn has a thumb.
        StoreError: the chats or the knowledge base can't be read.
    """
    found = FromChats()
    for owner in owners:
        for chat in chats.of(owner):
            if chat.kb == kb.settings.kb:
                _take(found, kb, chats, chat)
    if not (found.good or found.wrong or found.left_out):
        raise DatasetError(
            _("No answer of {name!r} has a thumb up or down.", name=kb.settings.kb),
            _("Give some on the page: kb ui"),
        )
    return found


def _take(found: FromChats, kb: KnowledgeBase, chats: ChatStore, chat: Chat) -> None:
    turns = chats.turns(chat.id)
    for place, turn in enumerate(turns):
        if turn.rating < 0:
            sources = [hit.source for hit in turn.hits]
            wrong = {
                "question": turn.question,
                "answer": turn.answer,
                "sources": sources,
                "asked_at": turn.asked_at,
            }
            found.wrong.append(wrong)
        elif turn.rating > 0:
            before = [one for one in turns[:place] if one.state in ("done", "stopped")]
            asked = completed(turn.question, [one.turn for one in before])
            told = {one.answer for one in asked.history}
            reason = _unfit(kb, turn, [one for one in before if one.answer in told])
            if not reason and not all(one.question and one.answer for one in asked.history):
                reason = _("a turn before it is no question with an answer")
            if reason:
                found.left_out[reason] = found.left_out.get(reason, 0) + 1
            else:
                prompt = _prompt(chats.prompt_messages(chat.id, turn.id), turn, asked)
                found.good.append(_conversation(chat, turn, asked, prompt))


def _unfit(kb: KnowledgeBase, turn: SavedTurn, before: Sequence[SavedTurn]) -> str:
    """Why a turn with a thumb up can't be learned after those before it; "" if it can."""
    reply = turn.reply
    if turn.state != "done" or reply.get("cut"):
        return _("the answer isn't whole")
    if reply.get("refused") or reply.get("kind", "answer") != "answer" or not turn.hits:
        return _("it isn't an answer from documents")
    cited = reply.get("citations", ())
    if not cited or not all(one.get("supported") for one in cited):
        return _("a citation is missing or isn't supported")
    rules = kb.reader_rules
    if not all(ANYONE in rules.readers_of(hit.source) for one in (*before, turn) for hit in one.hits):
        return _("a passage has readers of its own, and others may use what is learned")
    with kb.store.read() as snapshot:
        known = {chunk.id: chunk.text.body for chunk in snapshot.chunks([hit.id for hit in turn.hits])}
    if any(known.get(hit.id) != hit.text for hit in turn.hits):
        return _("a passage isn't in the index any more")
    return ""


def _prompt(kept: Sequence[RoleText], turn: SavedTurn, asked: Completed) -> tuple[tuple[Role, str], ...]:
    """What the model was given, if all that was said in it before still is part of the conversation; else ().

    A turn that was asked again since may tell of documents that not everybody may read.
    """
    rest = unfinished(turn.question, asked.history)
    said = {rest.begun} if rest else set()
    for one in asked.history:
        said |= {one.answer, unmarked(one.answer, one.cited), unmarked(shortened(one).answer, one.cited)}
    answers = [text for role, text in kept if role == "assistant"]
    return tuple((cast(Role, role), text) for role, text in kept) if said.issuperset(answers) else ()


def _conversation(
    chat: Chat, turn: SavedTurn, asked: Completed, prompt: tuple[tuple[Role, str], ...]
) -> Conversation:
    """The turn as it was asked, completed, after the turns that still weigh, which have lost their marks."""
    messages: list[tuple[Role, str]] = []
    for one in asked.history:
        messages += [("user", one.question), ("assistant", unmarked(one.answer, one.cited))]
    messages += [("user", asked.question), ("assistant", turn.answer)]
    passages = tuple(passage_of(hit) for hit in turn.hits)
    source = f"chat {turn.asked_at}"
    return Conversation(tuple(messages), "grounded", source, passages, "last", f"chat {chat.id}", prompt)
