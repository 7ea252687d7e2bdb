"""The first texts of a process are cut by the pieces that stand in them: into the same tokens as by the whole."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.embedding import tokenizer as room
from kb_assistant.embedding.pieces import PieceTokenizer
from kb_assistant.embedding.tokenizer import TextTokenizer, load_tokenizer
from kb_assistant.models.home import ModelHome

TEXTS = [
    "",
    "  ",
    "query: Who founded the station?",
    "水泵由谁维护？每晚两点 backup 自动执行。",
    "全角ＡＢＣ１２３和①②③，½ and ™, a ﬁne naïve café",
    "<s>a</s> b<mask> c<unk><pad>",
    "＜s＞a＜/s＞b＜mask＞ c ＜unk＞＜unk＞",
    "▁▁a b\u200b\ufeffx \x00\x01 e\u0301",
    "😀👍🏽 한국어 カタカナ ﾊﾝｶｸ عربي ไทย",
    "x" * 300 + "我" * 300,
    "word " * 200,
]


def _mixed(seed: int) -> str:
    """Random characters: Latin, Chinese, and any others."""
    draw = random.Random(seed)
    ranges = [(32, 127), (32, 127), (0x4E00, 0x9FFF), (1, 0xD7FF), (0xE000, 0x1FFFF)]
    return "".join(chr(draw.randrange(*draw.choice(ranges))) for __ in range(draw.randrange(1, 60)))


@pytest.fixture(scope="module")
def folder(models_home: Path) -> Path:
    return ModelHome(models_home / "models").get("multilingual-e5-small", "embedder").path


@pytest.mark.parametrize("special", [True, False])
def test_pieces_give_the_tokens_of_the_whole_vocabulary(folder: Path, special: bool) -> None:
    texts = [*TEXTS, *map(_mixed, range(400))]
    few, whole = TextTokenizer(folder / "tokenizer.json"), TextTokenizer(folder / "tokenizer.json")
    whole.load()
    assert [(made.ids, made.offsets, len(made)) for made in few.encode_batch(texts, special)] == [
        (made.ids, made.offsets, len(made)) for made in whole.encode_batch(texts, special)
    ]


def test_after_many_texts_the_whole_vocabulary_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "FEW_CHARACTERS", 20)
    tokenizer = TextTokenizer(folder / "tokenizer.json")
    first = tokenizer.encode_batch(["fifteen letters"])
    assert "_whole" not in vars(tokenizer)
    again = tokenizer.encode_batch(["fifteen letters"])
    assert "_whole" in vars(tokenizer)
    assert [made.ids for made in first] == [made.ids for made in again]


def _bytes_for_unknown(described: dict[str, Any]) -> None:
    described["model"]["byte_fallback"] = True


def _special_token_beside_the_vocabulary(described: dict[str, Any]) -> None:
    described["added_tokens"].append(described["added_tokens"][0] | {"id": 10, "content": "<extra>"})


def _ordinary_pieces_first(described: dict[str, Any]) -> None:
    described["model"]["vocab"].insert(1, ["x", -3.0])


def _of_another_kind(described: dict[str, Any]) -> None:
    described["model"] = {"type": "WordLevel", "vocab": {"<unk>": 3, "a": 1}, "unk_token": "<unk>"}


@pytest.mark.parametrize(
    "change",
    [_bytes_for_unknown, _special_token_beside_the_vocabulary, _ordinary_pieces_first, _of_another_kind],
)
def test_another_kind_of_tokenizer_is_loaded_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], None]
) -> None:
    described = small()
    change(described)
    with pytest.raises(ValueError, match=r"."):
        PieceTokenizer(json.loads(json.dumps(described)))
    monkeypatch.setattr(room, "LARGE_FILE", 0)
    (tmp_path / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
    assert "_whole" in vars(load_tokenizer(tmp_path))


def small() -> dict[str, Any]:
    """A tokenizer.json of five pieces and the usual special tokens."""
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = [
        *([name, 0.0] for name in names),
        ["▁", -2.0],
        ["a", -3.0],
        ["b", -3.5],
        ["ab", -4.0],
        ["▁a", -5.0],
    ]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    around = [{"SpecialToken": {"id": name, "type_id": 0}} for name in ("<s>", "</s>")]
    text = {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "version": "1.0",
        "added_tokens": [{"id": number, "content": name, **flags} for number, name in enumerate(names)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [around[0], text, around[1]],
            "pair": [around[0], text, around[1], {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {
                name: {"id": name, "ids": [number], "tokens": [name]} for number, name in ((0, "<s>"), (2, "</s>"))
            },
        },
        "decoder": None,
        "model": {"type": "Unigram", "unk_id": 3, "vocab": vocabulary, "byte_fallback": False},
    }


def test_a_small_vocabulary_is_cut_the_same_by_both(tmp_path: Path) -> None:
    described = small()
    (tmp_path / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
    whole = TextTokenizer(tmp_path / "tokenizer.json")
    texts = ["", "a", "ab a b", "aab c<unk>ab", "<s>ab</s> ba", "zzz"]
    few = PieceTokenizer(described).encode_batch(texts)
    assert [made.ids for made in few] == [made.ids for made in whole.encode_batch(texts)]
