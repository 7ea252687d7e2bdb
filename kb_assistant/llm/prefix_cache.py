"""Keys and values of earlier prompts, so that the next turn processes only its new tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import DynamicCache


@dataclass(slots=True)
class _Kept:
    ids: list[int]
    cache: DynamicCache


class PrefixCache:
    """Caches of several conversations, least recently used first, within a memory limit.

    Args:
        limit_bytes: Most memory for all of them; the oldest are dropped first.
        start: Makes the cache of no tokens: an empty one, or one that begins with the keys and values of a trained
            prefix, which are no tokens of any prompt.
    """

    def __init__(self, limit_bytes: int, start: Callable[[], DynamicCache] = DynamicCache) -> None:
        self._limit, self._start = limit_bytes, start
        self._kept: list[_Kept] = []
        self.ahead = start().get_seq_length()
        """Entries of each cache before those of the first token."""

    def take(self, ids: Sequence[int]) -> tuple[DynamicCache, int]:
        """A cache of the start of a prompt, and its number of tokens.

        A cache that the prompt continues is removed and returned; from one that continues differently the common
        start is copied, so that both conversations keep theirs. The last token is never included: its logits are
        needed.
        """
        best = max(self._kept, key=lambda kept: _common(kept.ids, ids), default=None)
        common = 0 if best is None else min(_common(best.ids, ids), len(ids) - 1)
        if best is None or common == 0:
            return self._start(), 0
        if common >= len(best.ids) - 1:
            self._kept.remove(best)
            if len(best.ids) > common:
                best.cache.crop(common - len(best.ids))
            return best.cache, common
        return _copy(best.cache, self.ahead + common), common

    def give(self, ids: Sequence[int], cache: DynamicCache) -> None:
        """Keep the cache of these tokens. Caches that it continues are dropped, and the oldest to make room."""
        kept = _Kept(list(ids), cache)
        self._kept = [old for old in self._kept if _common(old.ids, kept.ids) < len(old.ids)]
        self._kept.append(kept)
        while self._kept and sum(_bytes(kept.cache) for kept in self._kept) > self._limit:
            del self._kept[0]

    @property
    def nbytes(self) -> int:
        """Memory of the kept caches."""
        return sum(_bytes(kept.cache) for kept in self._kept)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common prefix of tokens."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (left, right) in pairs if left != right), min(len(one), len(other)))


def _copy(cache: DynamicCache, length: int) -> DynamicCache:
    copy = DynamicCache()
    layers: list[Any] = cache.layers
    for i, layer in enumerate(layers):
        copy.update(layer.keys[:, :, :length].clone(), layer.values[:, :, :length].clone(), i)
    return copy


def _bytes(cache: DynamicCache) -> int:
    layers: list[Any] = cache.layers
    return sum(int(layer.keys.nbytes + layer.values.nbytes) for layer in layers if layer.is_initialized)
