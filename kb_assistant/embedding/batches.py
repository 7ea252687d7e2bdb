"""Batches of texts: which texts share one, and several of them at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def pack(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Positions in batches whose longest member times their number is at most `batch_tokens`.

    Longest first, so that the start needs the most memory. A longer text gets a batch of its own.
    """
    batches: list[list[int]] = []
    room = 0
    for position in sorted(range(len(lengths)), key=lambda position: -lengths[position]):
        if not batches or len(batches[-1]) >= room:
            batches.append([])
            room = max(1, batch_tokens // max(1, lengths[position]))
        batches[-1].append(position)
    return batches


def at_once(work: Callable[[T], R], parts: Sequence[T], lanes: int) -> Iterator[R]:
    """The results of `work`, in the order of `parts`, of which up to `lanes` are under way at once.

    Threads that share a batch wait for one another at every product; those with a batch of their own don't, and
    keep their share of a busy machine.
    """
    if lanes == 1:
        yield from map(work, parts)
        return
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(lanes, thread_name_prefix="embed") as threads:
        try:
            for part in parts:
                waiting.append(threads.submit(work, part))
                if len(waiting) > lanes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            threads.shutdown(cancel_futures=True)
