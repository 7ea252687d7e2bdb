"""Values computed once, however many threads request them at the same time: `cached_property` and `lru_cache` hold
no lock. A forked child has locks of its own: a thread that it lacks may hold its parent's."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from threading import RLock
from typing import Any, Generic, ParamSpec, TypeVar, overload

P = ParamSpec("P")
T = TypeVar("T")


class once(Generic[T]):  # noqa: N801 - a decorator
    """A property computed at its first use, by one thread, while others wait. After an error the next use tries
    again."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute, self.__doc__ = compute, compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> once[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> once[T] | T:
        if instance is None:
            return self
        kept: dict[str, Any] = instance.__dict__
        with kept.setdefault(f"_opening_{self._name}_{os.getpid()}", RLock()):
            if self._name not in kept:
                kept[self._name] = self._compute(instance)
            found: T = kept[self._name]
            return found


def one_at_a_time(call: Callable[P, T]) -> Callable[P, T]:
    """A function that one thread calls at a time; around a cache, so that nothing is computed twice."""
    locks: dict[int, Any] = {}  # by process

    @wraps(call)
    def alone(*given: P.args, **named: P.kwargs) -> T:
        with locks.setdefault(os.getpid(), RLock()):
            return call(*given, **named)

    return alone
