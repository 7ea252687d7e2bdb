"""What each audience sees of a knowledge base, remembered for the last ones that asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from kb_assistant.lock import survive_forks
from kb_assistant.retrieval.filters import Sight
from kb_assistant.store.readers import ReaderRules

_MOST = 32
"""Most audiences for which it is remembered what they see."""


class Sights:
    """The sights of audiences under the current rules. Threads may share it.

    Args:
        rules: Returns the current rules.
    """

    def __init__(self, rules: Callable[[], ReaderRules]) -> None:
        self._rules = rules
        self._sights: dict[tuple[ReaderRules, frozenset[str]], Sight] = {}
        self._lock = threading.Lock()
        survive_forks(self)

    def before_fork(self) -> None:
        """Do nothing: the child's lock is a new one."""

    def after_fork(self) -> None:
        """Create a new lock in a forked child."""
        self._lock = threading.Lock()

    def of(self, audience: Collection[str] | None) -> Sight | None:
        """What somebody sees; None for everything.

        Raises:
            StoreError: the rules are damaged.
        """
        rules = ReaderRules() if audience is None else self._rules()
        if audience is None or not rules:
            return None
        key = (rules, frozenset(audience))
        with self._lock:
            sight = self._sights.pop(key, None) or Sight(rules.seen_by(audience))
            self._sights[key] = sight  # the last one: dictionaries keep their order
            while len(self._sights) > _MOST:
                del self._sights[next(iter(self._sights))]
        return sight
