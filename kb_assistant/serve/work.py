"""Runs what takes long in threads: a few at once, some waiting, and nothing for a client that has left."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Generic, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from kb_assistant.serve.errors import FullError

T = TypeVar("T")

SILENCE_S = 1.0
"""A stream without news for this long says so: proxies cut silent ones."""

_LONGEST_WAIT_S = 60
_WEIGHT = 0.2  # of the last request in the mean of how long one takes


Stop = threading.Event
"""Set when a piece of work is to end."""


class WorkPool:
    """Threads for one kind of work.

    Args:
        at_once: How many run.
        waiting: How many may wait besides; more are refused.
    """

    def __init__(self, name: str, at_once: int, waiting: int) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        self._at_once, self._most = at_once, at_once + waiting
        self._lock = threading.Lock()
        self._inside = 0
        self._seconds = 1.0

    @property
    def inside(self) -> int:
        """How many run and wait."""
        return self._inside

    async def run(self, request: Request, work: Callable[[Stop], T]) -> T:
        """The result of some work, which is told to stop once the client has left.

        Raises:
            FullError: too many wait.
            ClientDisconnect: the client has left.
        """
        left = asyncio.ensure_future(_left(request))
        result = asyncio.ensure_future(self.call(work))
        try:
            both: set[asyncio.Future[Any]] = {result, left}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not result.done():
                raise ClientDisconnect
            return result.result()
        finally:
            left.cancel()
            result.cancel()

    async def call(self, work: Callable[[Stop], T]) -> T:
        """The result of some work, which is told to stop once nobody awaits it.

        Raises:
            FullError: too many wait.
        """
        stop = Stop()
        future = self._submit(lambda: work(stop))
        try:
            return await asyncio.wrap_future(future)
        finally:
            stop.set()
            future.cancel()

    def stream(self, work: Callable[[Stop, Callable[[T], None]], None]) -> WorkStream[T]:
        """Some work that gives pieces by calling its second argument.

        Raises:
            FullError: too many wait.
        """
        return WorkStream(self._submit, work)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        with self._lock:
            if self._inside >= self._most:
                waits = self._seconds * self._inside / self._at_once
                raise FullError(max(1, min(_LONGEST_WAIT_S, round(waits))))
            self._inside += 1
        inside = contextvars.copy_context()  # of the request that telemetry tells of
        future = self._threads.submit(inside.run, self._timed, work)
        future.add_done_callback(self._leave)
        return future

    def _timed(self, work: Callable[[], T]) -> T:
        began = time.monotonic()
        try:
            return work()
        finally:
            with self._lock:
                self._seconds += _WEIGHT * (time.monotonic() - began - self._seconds)

    def _leave(self, _: Future[Any]) -> None:
        with self._lock:
            self._inside -= 1


class _Ended:
    """After the last piece."""


class WorkStream(Generic[T]):
    """Pieces of work in progress. Iterate over `pieces`, and call `close` whatever happens."""

    def __init__(
        self,
        submit: Callable[[Callable[[], None]], Future[None]],
        work: Callable[[Stop, Callable[[T], None]], None],
    ) -> None:
        self._stop = Stop()
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[T | Exception | _Ended] = asyncio.Queue()
        self._work = work
        self._future = submit(self._run)

    async def pieces(self) -> AsyncGenerator[T | None]:
        """The pieces as they come; None where there was none for SILENCE_S. Raises what the work raises."""
        while True:
            try:
                piece = await asyncio.wait_for(self._queue.get(), SILENCE_S)
            except TimeoutError:
                yield None
                continue
            if isinstance(piece, _Ended):
                return
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def close(self) -> None:
        """Stop the work."""
        self._stop.set()
        self._future.cancel()

    def _run(self) -> None:
        try:
            self._work(self._stop, self._put)
        except Exception as error:
            self._put(error)
        finally:
            self._put(_Ended())

    def _put(self, piece: T | Exception | _Ended) -> None:
        with suppress(RuntimeError):  # the server ends
            self._loop.call_soon_threadsafe(self._queue.put_nowait, piece)


STREAMED: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}
"""Describes a route that answers with an EventStream where the request says `stream`."""


class EventStream(StreamingResponse):
    """Server-sent events made by a WorkStream, which is stopped when they end or the client leaves."""

    def __init__(self, work: WorkStream[Any], events: AsyncGenerator[str]) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._working, self._events = work, events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._working.close()
            await self._events.aclose()


def event(value: Any, name: str = "") -> str:
    """One server-sent event with a JSON value."""
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n"


WAIT = ": wait\n\n"
"""A comment that keeps a silent stream open."""


async def _left(request: Request) -> None:
    """Return once the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
