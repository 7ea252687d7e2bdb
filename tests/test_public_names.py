"""The public door: every name that it offers is there."""

from __future__ import annotations

import pytest

import kb_assistant


@pytest.mark.parametrize("name", kb_assistant.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(kb_assistant, name).__name__ == name
