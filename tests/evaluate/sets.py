"""A small set for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CORPUS: list[dict[str, Any]] = [
    {"id": "north", "title": "North gate", "text": "The north gate is open from six. It closes at noon."},
    {"id": "south", "title": "South gate", "text": "The south gate is open from eight. It closes at dusk."},
    {"id": "pump", "text": "The pump was built by Ann Fell in 1904."},
    {"id": "crane", "title": "吊车", "text": "暴风雨时任何人不得使用吊车。"},
]
QUERIES: list[dict[str, Any]] = [
    {"id": "first", "text": "When is the north gate open?", "answers": ["From six."]},
    {
        "id": "follow",
        "text": "When does it close?",
        "history": [
            {"role": "user", "text": "When is the north gate open?"},
            {"role": "assistant", "text": "The north gate is open from six."},
        ],
        "rewrite": "When does the north gate close?",
        "answers": "At noon.",
        "labels": {"kind": "time"},
    },
    {"id": "off", "text": "Who won the cup in Lisbon?", "answerable": False},
]
QRELS = {"first": "north", "follow": "north"}


def write_set(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("corpus", CORPUS), ("queries", QUERIES)):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    lines = "".join(f"{question}\t{document}\t1\n" for question, document in QRELS.items())
    (folder / "qrels.tsv").write_text(f"query-id\tdoc-id\tscore\n{lines}", encoding="utf-8")
    return folder
