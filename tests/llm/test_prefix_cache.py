"""Kept keys and values: always those of the very tokens, and never more than the bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import DynamicCache

from kb_assistant.llm.prefix_cache import PrefixCache

pytestmark = pytest.mark.engine

# float32 keys and values of 2 layers, 1 head of 4.
BYTES_A_TOKEN = 2 * 2 * 4 * 4


def cache_of(ids: Sequence[int], cache: DynamicCache | None = None, start: int = 0) -> DynamicCache:
    """A cache whose keys are the token ids themselves."""
    cache = cache or DynamicCache()
    rows = torch.tensor(ids[start:], dtype=torch.float32)[None, None, :, None].expand(1, 1, -1, 4)
    for layer in range(2):
        cache.update(rows, -rows, layer)
    return cache


def ids_of(cache: DynamicCache) -> list[int]:
    layers: list[Any] = cache.layers
    if not layers:
        return []
    assert torch.equal(layers[0].keys, -layers[1].values)
    return [int(value) for value in layers[1].keys[0, 0, :, 0]]


def test_a_next_turn_goes_on_where_the_last_one_ended() -> None:
    kept = PrefixCache(10_000)
    kept.give([1, 2, 3], cache_of([1, 2, 3]))
    cache, reused = kept.take([1, 2, 3, 4, 5])
    assert (ids_of(cache), reused) == ([1, 2, 3], 3)
    assert kept.nbytes == 0, "it was taken out, not copied"


def test_the_same_prompt_again_reads_its_last_token_only() -> None:
    kept = PrefixCache(10_000)
    kept.give([1, 2, 3, 4], cache_of([1, 2, 3, 4]))
    cache, reused = kept.take([1, 2, 3, 4])
    assert (ids_of(cache), reused) == ([1, 2, 3], 3)


def test_another_way_to_go_on_leaves_the_first_as_it_was() -> None:
    kept = PrefixCache(10_000)
    kept.give([1, 2, 3, 4, 5, 6], cache_of([1, 2, 3, 4, 5, 6]))
    other, reused = kept.take([1, 2, 9, 9])
    assert (ids_of(other), reused) == ([1, 2], 2)
    kept.give([1, 2, 9, 9], cache_of([1, 2, 9, 9], other, 2))
    first, reused = kept.take([1, 2, 3, 4, 5, 6, 7])
    assert (ids_of(first), reused) == ([1, 2, 3, 4, 5, 6], 6)


@given(
    st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=12),
    st.integers(0, 40 * BYTES_A_TOKEN),
)
def test_whatever_is_asked_the_cache_is_that_of_the_prompt_and_the_bound_holds(
    prompts: list[list[int]], limit: int
) -> None:
    kept = PrefixCache(limit)
    for ids in prompts:
        cache, reused = kept.take(ids)
        assert ids_of(cache) == ids[:reused]
        assert reused < len(ids)
        kept.give(ids, cache_of(ids, cache, reused))
        assert kept.nbytes <= limit


def test_the_oldest_conversation_goes_first() -> None:
    kept = PrefixCache(10 * BYTES_A_TOKEN)
    for ids in ([1] * 4, [2] * 4, [3] * 4):
        kept.give(ids, cache_of(ids))
    assert kept.take([1] * 5)[1] == 0
    assert kept.take([3] * 5)[1] == 4
