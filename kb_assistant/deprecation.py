"""Old names of arguments, which still work with a DeprecationWarning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def renamed_arguments(**names: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Accept the old names of a function's keyword arguments: `renamed_arguments(old="new")`."""

    def decorate(call: Callable[P, T]) -> Callable[P, T]:
        @wraps(call)
        def called(*given: Any, **named: Any) -> T:
            for old in names.keys() & named.keys():
                warnings.warn(f"{call.__name__}: {old}= is called {names[old]}= now.", DeprecationWarning, 2)
                named[names[old]] = named.pop(old)
            return call(*given, **named)

        return called

    return decorate
