"""Old names of arguments and attributes, which still work with a DeprecationWarning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def renamed_arguments(**names: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Accept the old names of a function's keyword arguments: `renamed_arguments(old="new")`.

    A call with both names of one raises a TypeError.
    """

    def decorate(call: Callable[P, T]) -> Callable[P, T]:
        @wraps(call)
        def called(*given: Any, **named: Any) -> T:
            for old in names.keys() & named.keys():
                if names[old] in named:
                    raise TypeError(
                        f"{call.__qualname__}() got {old} and {names[old]}, which are the same argument"
                    )
                warnings.warn(f"{call.__qualname__}: {old}= is called {names[old]}= now.", DeprecationWarning, 2)
                named[names[old]] = named.pop(old)
            return call(*given, **named)

        return called

    return decorate


def renamed_attribute(old: str, new: str) -> property:
    """A property with the value of an attribute that was called otherwise."""

    def read(self: Any) -> Any:
        warnings.warn(f"{type(self).__name__}.{old} is called {new} now.", DeprecationWarning, 2)
        return getattr(self, new)

    return property(read, doc=f"The old name of `{new}`.")
