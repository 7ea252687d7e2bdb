"""The line in front of a model: first come, first served; one that left is passed over."""

from __future__ import annotations

import gc
import threading
import time

import pytest

from kb_assistant.llm.request_queue import Emit, RequestQueue
from tests.waiting import PATIENCE


def counting(upto: int, done: list[str], name: str = "") -> object:
    def work(emit: Emit[int]) -> None:
        for i in range(upto):
            if emit(i):
                done.append(f"{name} left at {i}")
                return
        done.append(f"{name} whole")

    return work


class Held:
    """Work that says one piece and goes on when it is let go, or when nobody listens."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.ended = threading.Event()

    def __call__(self, emit: Emit[str]) -> None:
        while not emit("piece") and not self.go.wait(0.01):
            pass
        self.ended.set()


def test_pieces_come_in_order_and_then_it_ends() -> None:
    queue: RequestQueue[int] = RequestQueue("test")
    assert list(queue.stream(lambda emit: [emit(i) for i in range(5)] and None)) == [0, 1, 2, 3, 4]


def test_requests_run_one_at_a_time_in_the_order_they_came() -> None:
    queue: RequestQueue[str] = RequestQueue("test")
    first, order = Held(), list[int]()
    held = queue.stream(first)
    assert next(held) == "piece"

    def ask(i: int) -> None:
        def run(emit: Emit[str]) -> None:
            order.append(i)
            emit(str(i))

        for _ in queue.stream(run):
            pass

    threads = []
    for i in range(5):
        threads.append(threading.Thread(target=ask, args=(i,)))
        threads[-1].start()
        while len(queue._line) < i + 2:
            time.sleep(0.001)
    assert order == []
    first.go.set()
    for thread in threads:
        thread.join(10)
    assert order == [0, 1, 2, 3, 4]


def test_a_waiting_request_can_be_cancelled_and_never_runs() -> None:
    queue: RequestQueue[str] = RequestQueue("test")
    first, ran = Held(), list[str]()
    held = queue.stream(first)
    next(held)
    asked = time.monotonic()
    waiting = queue.stream(lambda _: ran.append("ran"), cancelled=lambda: time.monotonic() - asked > 0.1)
    assert list(waiting) == []
    assert not first.ended.is_set()
    first.go.set()
    assert list(queue.stream(lambda emit: emit("next") and None)) == ["next"]
    assert ran == []


def test_closing_a_stream_ends_its_work() -> None:
    queue: RequestQueue[str] = RequestQueue("test")
    work = Held()
    stream = queue.stream(work)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert work.ended.wait(PATIENCE)


def test_a_reader_that_pauses_or_forgets_holds_nobody_up() -> None:
    queue: RequestQueue[int] = RequestQueue("test")
    done: list[str] = []
    paused = queue.stream(counting(50, done, "paused"))  # type: ignore[arg-type]
    assert next(paused) == 0
    assert list(queue.stream(counting(3, done, "second"))) == [0, 1, 2]  # type: ignore[arg-type]
    assert next(paused) == 1
    assert done == ["paused whole", "second whole"]
    forgotten = Held()
    stream: object = RequestQueue[str]("test").stream(forgotten)
    next(stream)  # type: ignore[call-overload]
    del stream
    gc.collect()
    assert forgotten.ended.wait(PATIENCE)


def test_an_error_reaches_the_one_who_asked() -> None:
    queue: RequestQueue[int] = RequestQueue("test")

    def broken(emit: Emit[int]) -> None:
        emit(1)
        raise ValueError("overheated")

    stream = queue.stream(broken)
    assert next(stream) == 1
    with pytest.raises(ValueError, match="overheated"):
        next(stream)
    assert list(queue.stream(lambda emit: emit(2) and None)) == [2]


def test_stop_ends_all_that_run_and_wait() -> None:
    queue: RequestQueue[str] = RequestQueue("test")
    first, second = Held(), Held()
    one, two = queue.stream(first), queue.stream(second)
    next(one)
    thread = threading.Thread(target=lambda: list(two))
    thread.start()
    queue.stop(5)
    thread.join(5)
    assert first.ended.is_set()
    assert not second.ended.is_set(), "it never began"
    assert not thread.is_alive()
