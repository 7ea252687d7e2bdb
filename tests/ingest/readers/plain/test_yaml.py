"""YAML: records with their lines; settings as they are written."""

from __future__ import annotations

import pytest

from ingest.readers import read
from tests.ingest.readers.documents import all_text

PLANTS = """\
# All plants
tenant: Northbay
plants:
  - plant: Gdansk   # the new one
    manager: J
    lines:
      - {line: L17, rate: 351}
      - line: L18
        shift: {start: 06:00}

  - plant: 奥斯特拉瓦
    lines:
    - line: L17
      rate: 219
"""


def test_records_bear_the_names_around_them_and_keep_their_lines() -> None:
    assert [(block.text, block.lines) for block in read("a.yaml", PLANTS.encode()).blocks] == [
        ("# All plants\ntenant: Northbay", (1, 3)),
        ("# the new one\ntenant: Northbay | plant: Gdansk | manager: J", (4, 6)),
        ("tenant: Northbay | plant: Gdansk | line: L17 | rate: 351", (7, 7)),
        ("tenant: Northbay | plant: Gdansk | line: L18 | shift.start: 06:00", (8, 9)),
        ("tenant: Northbay | plant: 奥斯特拉瓦", (11, 12)),
        ("tenant: Northbay | plant: 奥斯特拉瓦 | line: L17 | rate: 219", (13, 14)),
    ]


def test_records_by_their_keys() -> None:
    data = "G:\n  L1: {rate: 1}\n  L2: {rate: 2}\nO:\n  L1: {rate: 3}\n  L2: {rate: 4}\n"
    assert all_text(read("a.yml", data.encode())).split("\n")[-1] == "O | L2 | rate: 4"


@pytest.mark.parametrize(
    "data",
    [
        "services:\n  web:\n    image: nginx\n  db:\n    image: pg",
        "steps:\n- name: a\n  run: |\n    x\n    y\n- name: b\n  run: z",
        "a: &x [{b: 1, c: 2}]\nb: *x",
        "a: 1\n---\nl: [{b: 1, c: 2}, {b: 3, c: 4}]",
        "a: 1\na: 2\nl: [{b: 1, c: 2}, {b: 3, c: 4}]",
        "l: [{b: !!int 1, c: 2}, {b: 3, c: 4}]",
        "l: [{b: , c: }, {b: ~, c: null}]",
        "{no: yaml",
        "- " * 5000 + "a",
    ],
)
def test_what_is_read_as_it_is_written(data: str) -> None:
    (block,) = read("a.yaml", data.encode()).blocks
    assert (block.text, block.kind) == (data, "code")
