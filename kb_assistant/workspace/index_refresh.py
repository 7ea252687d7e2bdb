"""Keeps this machine's indexes in step with knowledge bases on a server that other machines fill.

Without it a question after a change waits until the index has followed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from kb_assistant.errors import KBError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.store.opening import changes

_log = logging.getLogger(__name__)


def follow_changes(
    store: str, opened: Callable[[], dict[str, KnowledgeBase]], stop: Callable[[], bool] = lambda: False
) -> threading.Thread:
    """Refresh open knowledge bases whenever they change, in a thread that doesn't keep the program alive.

    Args:
        store: The setting; with files the thread ends at once: whoever writes them is on this machine.
        opened: Returns the knowledge bases that are open now, by name.
        stop: Once it returns true, the thread ends.
    """

    def follow() -> None:
        try:
            for names in changes(store, stop):
                for name, base in opened().items():
                    if names is None or name in names:
                        with suppress(KBError):  # it is said at the next question
                            base.refresh()
        except Exception:
            _log.exception(
                "Changes of the knowledge bases aren't followed any more; questions see them all the same."
            )

    thread = threading.Thread(target=follow, name="index-refresh", daemon=True)
    thread.start()
    return thread
