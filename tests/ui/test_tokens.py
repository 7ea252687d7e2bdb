"""Colours are named once, in tokens.css; what is used is defined there."""

from __future__ import annotations

import re

from tests.samples import ROOT

ASSETS = ROOT / "ui" / "assets"


def test_every_token_is_defined_and_no_other_file_names_a_colour() -> None:
    tokens = (ASSETS / "tokens.css").read_text(encoding="utf-8")
    defined = set(re.findall(r"(--kb-[\w-]+):", tokens))
    others = "".join(
        file.read_text(encoding="utf-8") for file in ASSETS.glob("*.css") if file.name != "tokens.css"
    )
    used = set(re.findall(r"var\((--kb-[\w-]+)\)", others + tokens))
    assert used - defined == set()
    assert defined - used == set()
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b", others) == []
