"""Who may read which sources where several machines serve a knowledge base.

The rules lie in its store, so that all have the same. They are as in `readers.py`, which keeps them in a file."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from kb_assistant.messages import _
from kb_assistant.store.faults import damaged
from kb_assistant.store.knowledge_store import KnowledgeStore
from kb_assistant.store.readers import ReaderRules, changed_rules, load_rules, rules_of, set_readers

RULES = "readers"
"""Name of the stored rules."""


def rules_at(store: KnowledgeStore | None, folder: Path) -> ReaderRules:
    """The rules of a knowledge base.

    Args:
        store: Its store; None if there is none yet.
        folder: Its folder on this machine.

    Raises:
        StoreError: they are damaged: then nobody whom they may concern reads anything.
    """
    if store is None or isinstance(store.place, Path):
        return load_rules(folder)
    with store.read() as snapshot:
        value = snapshot.meta(RULES)
    try:
        return ReaderRules() if value is None else rules_of(value)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(store.place, _("the {key} was altered", key=RULES)) from error


def set_rules_at(
    store: KnowledgeStore | None, folder: Path, paths: Iterable[str], readers: Collection[str] | None
) -> None:
    """Set who may read what is at and under these paths; see `set_readers`."""
    if store is None or isinstance(store.place, Path):
        set_readers(folder, paths, readers)
        return
    change = changed_rules(paths, readers)
    with store.write() as transaction:
        transaction.put_meta(RULES, change(transaction.meta(RULES)))
