"""A private knowledge-base assistant: ingest documents, search them, ask over several turns.

    from kb_assistant import KnowledgeBase

    with KnowledgeBase.open() as kb:
        kb.ingest("docs")
        print(kb.ask("Who maintains the pump?"))

Importing this package loads neither torch nor faiss; they load when a model or an index does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kb_assistant.errors import KBError
from kb_assistant.settings import Settings
from kb_assistant.types import Citation, Dropped, FileResult, Hit, Locator, Report, Turn, Usage

if TYPE_CHECKING:
    from kb_assistant.chain import Reply
    from kb_assistant.knowledge import KnowledgeBase

__all__ = [
    "Citation",
    "Dropped",
    "FileResult",
    "Hit",
    "KBError",
    "KnowledgeBase",
    "Locator",
    "Reply",
    "Report",
    "Settings",
    "Turn",
    "Usage",
]

_LAZY = {"KnowledgeBase": "kb_assistant.knowledge", "Reply": "kb_assistant.chain"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
