"""Where the code of a text is."""

from __future__ import annotations

import pytest

from kb_assistant.text.code_mask import code_blocks


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("Run:\n```sh\nls\n```\nDone.", ["ls\n"]),
        ("~~~\na\n```\nb\n~~~", ["a\n```\nb\n"]),
        ("- Run:\n  ```sh\n  ls\n  ```", ["  ls\n"]),
        ("```sh\nls", ["ls"]),  # cut behind
        ("ls\n```\nThen:\n```sh\ncd\n```", ["cd\n"]),  # cut before
        ("ls\n```\nProse.", []),
        ("No `code` between fences.", []),
    ],
)
def test_code_stands_between_fences(text: str, inside: list[str]) -> None:
    assert [text[slice(*block.inside)] for block in code_blocks(text)] == inside


def test_a_block_reaches_over_its_fences() -> None:
    (block,) = code_blocks("Run:\n```sh\nls\n```\nDone.")
    assert (block.start, block.end) == (5, 18)
