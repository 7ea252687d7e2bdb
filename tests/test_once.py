"""Values computed once: by one thread of each process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from kb_assistant.once import once, one_at_a_time
from tests.processes import in_a_fork
from tests.waiting import PATIENCE


class Slow:
    """A property that waits, as one does that loads a model, the first time."""

    def __init__(self) -> None:
        self.began, self.end, self.count = threading.Event(), threading.Event(), 0

    def compute(self) -> str:
        self.count += 1
        if self.count == 1:
            self.began.set()
            self.end.wait(PATIENCE)
        return "value"

    value = once(compute)


def as_property(slow: Slow) -> Callable[[], str]:
    return lambda: slow.value


def as_function(slow: Slow) -> Callable[[], str]:
    return one_at_a_time(slow.compute)


@pytest.mark.parametrize("way", [as_property, as_function])
def test_a_child_forked_while_another_thread_computes_does_not_wait_for_it(
    way: Callable[[Slow], Callable[[], str]],
) -> None:
    slow = Slow()
    get = way(slow)
    with ThreadPoolExecutor(1) as pool:
        computing = pool.submit(get)
        assert slow.began.wait(PATIENCE)
        try:
            assert in_a_fork(get, 20) == "value"
        finally:
            slow.end.set()
        assert computing.result() == "value"
    assert slow.count == 1


def test_an_error_is_not_kept() -> None:
    class Failing:
        tries = 0

        @once
        def value(self) -> int:
            self.tries += 1
            if self.tries == 1:
                raise OSError
            return self.tries

    failing = Failing()
    with pytest.raises(OSError):
        failing.value  # noqa: B018
    assert failing.value == failing.value == 2
