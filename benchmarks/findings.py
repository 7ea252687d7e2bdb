"""Measures that don't hinder one another: each is kept as soon as it is there, and a failure as its traceback."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class Findings:
    """What one part of a benchmark found, in a JSON file that is whole at every moment.

    Args:
        file: Written anew after each measure, so that a part that is stopped leaves what it has.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.values: dict[str, Any] = {}

    def note(self, name: str, value: Any) -> None:
        """Keep a value as it is."""
        self.values[name] = value
        beside = self._file.with_suffix(".new")
        beside.write_text(json.dumps(self.values, ensure_ascii=False, default=str), encoding="utf-8")
        beside.replace(self._file)

    def measure(
        self, name: str, work: Callable[[], T], show: Callable[[T], Any] = lambda result: result
    ) -> T | None:
        """Do a piece of work and keep what `show` makes of its result, with its seconds.

        Returns:
            The result; None if it failed, which is kept as the error's traceback.
        """
        started = time.perf_counter()
        try:
            result = work()
            found = show(result)
        except Exception as error:
            self.note(name, {"failed": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()})
            return None
        taken = round(time.perf_counter() - started, 2)
        self.note(name, found | {"seconds": taken} if isinstance(found, dict) else found)
        return result
