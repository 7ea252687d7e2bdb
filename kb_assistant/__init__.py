"""A private knowledge-base assistant: ingest documents, search them, ask over several turns.

    from kb_assistant import KnowledgeBase

    with KnowledgeBase.open() as kb:
        kb.ingest("docs")
        print(kb.ask("Who maintains the pump?"))

Importing this package loads neither torch nor faiss; they load when a model or an index does.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kb_assistant.errors import KBError
from kb_assistant.settings import Settings
from kb_assistant.types import Citation, Dropped, FileResult, Hit, Locator, Report, Turn, Usage

if TYPE_CHECKING:
    from kb_assistant.answering.citations import Mark
    from kb_assistant.answering.reply import Reply
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.llm.open import who_answers
    from kb_assistant.maintenance.doctor import Finding, examine, memory_use
    from kb_assistant.store import Source
    from kb_assistant.workspace.access import Access
    from kb_assistant.workspace.answer_queue import AnswerQueue
    from kb_assistant.workspace.chats import Chat, ChatStore, SavedTurn
    from kb_assistant.workspace.jobs import Job, Jobs

__all__ = [
    "Access",
    "AnswerQueue",
    "Chat",
    "ChatStore",
    "Citation",
    "Dropped",
    "FileResult",
    "Finding",
    "Hit",
    "Job",
    "Jobs",
    "KBError",
    "KnowledgeBase",
    "Locator",
    "Mark",
    "Reply",
    "Report",
    "SavedTurn",
    "Settings",
    "Source",
    "Turn",
    "Usage",
    "examine",
    "memory_use",
    "who_answers",
]

_LAZY = {
    "Access": "kb_assistant.workspace.access",
    "AnswerQueue": "kb_assistant.workspace.answer_queue",
    "Chat": "kb_assistant.workspace.chats",
    "ChatStore": "kb_assistant.workspace.chats",
    "Finding": "kb_assistant.maintenance.doctor",
    "Job": "kb_assistant.workspace.jobs",
    "Jobs": "kb_assistant.workspace.jobs",
    "KnowledgeBase": "kb_assistant.knowledge",
    "Mark": "kb_assistant.answering.citations",
    "Reply": "kb_assistant.answering.reply",
    "SavedTurn": "kb_assistant.workspace.chats",
    "Source": "kb_assistant.store",
    "examine": "kb_assistant.maintenance.doctor",
    "memory_use": "kb_assistant.maintenance.doctor",
    "who_answers": "kb_assistant.llm.open",
}

_RENAMED = {"Answering": "AnswerQueue"}
"""Former names, which still work."""


def __getattr__(name: str) -> Any:
    if new := _RENAMED.get(name):
        warnings.warn(f"kb_assistant.{name} is called {new} now.", DeprecationWarning, stacklevel=2)
        name = new
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
