"""Counts and times one answer of a chat model."""

from __future__ import annotations

import time

from langchain_core.messages import AIMessageChunk

from kb_assistant.types import Usage

# Providers differ in the name of the reason why an answer ended, and in its words for the limit of tokens.
_ENDINGS = ("finish_reason", "stop_reason", "done_reason")
_CUT = frozenset(("length", "max_tokens"))


class Meter:
    """Counts and times one answer.

    Attributes:
        cut: Whether the model said that it ended at the limit of tokens.
    """

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._first: float | None = None
        self._last = self._start
        self._prompt: int | None = None
        self._completion: int | None = None
        self._reused: int | None = None
        self.cut = False

    def take(self, chunk: AIMessageChunk) -> None:
        self._last = time.perf_counter()
        if chunk.text and self._first is None:
            self._first = self._last
        endings = {str(chunk.response_metadata.get(key)).lower() for key in _ENDINGS}
        self.cut = self.cut or bool(endings & _CUT)
        if used := chunk.usage_metadata:
            self._prompt, self._completion = used["input_tokens"], used["output_tokens"]
            self._reused = used.get("input_token_details", {}).get("cache_read")

    def usage(self) -> Usage:
        first = None if self._first is None else self._first - self._start
        speed = None
        if self._first is not None and self._completion and self._completion > 1 and self._last > self._first:
            speed = round((self._completion - 1) / (self._last - self._first), 2)
        return Usage(
            self._prompt, self._completion, None if first is None else round(first, 4), speed, self._reused
        )
