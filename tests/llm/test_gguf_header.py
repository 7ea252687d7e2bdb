"""Headers of GGUF files: read as gguf's own reader reads them; whatever is damaged is a sentence."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFReader, GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kb_assistant.errors import ModelError
from kb_assistant.llm.gguf_header import read_gguf_header
from kb_assistant.llm.llamacpp import LlamaCppChat
from kb_assistant.llm.memory import estimate
from kb_assistant.maintenance.doctor import examine
from kb_assistant.model_folder import Model
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings

U32, STRING, ARRAY = 4, 8, 9
GOOD = {"block_count": 2, "embedding_length": 64, "attention.head_count": 4, "attention.head_count_kv": 2}


def text(content: str | bytes) -> bytes:
    encoded = content.encode() if isinstance(content, str) else content
    return struct.pack("<Q", len(encoded)) + encoded


def entry(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def file_of(*entries: bytes, tensors: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, len(entries)) + b"".join(entries) + rest


def written(path: Path, **fields: Any) -> Path:
    """A file of gguf's own writer, of the architecture "llama", with these fields."""
    writer = GGUFWriter(path, "llama")
    for name, value in fields.items():
        key = f"llama.{name}"
        if isinstance(value, list):
            writer.add_array(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_uint32(key, value) if value >= 0 else writer.add_int32(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    return path


def cache_of(path: Path, tmp_path: Path, context: int = 100) -> int:
    model = Model("m", "chat", path, "", context_tokens=context)
    found = estimate(model, Settings(home=tmp_path))
    assert found is not None
    return found.cache


def test_it_reads_what_gguf_reads(models_home: Path) -> None:
    path = next((models_home / "models" / "smollm2-135m-instruct").glob("*.gguf"))
    header, reader = read_gguf_header(path), GGUFReader(path)
    assert header.architecture == "llama"
    assert header.parameters == sum(int(tensor.n_elements) for tensor in reader.tensors)
    theirs = {name for name in reader.fields if not name.startswith("GGUF.")}
    assert set(header.fields) == theirs
    for name in theirs:
        if header.fields[name] is not None:
            assert header.fields[name] == reader.fields[name].contents(), name
    for name in ("tokenizer.ggml.tokens", "tokenizer.ggml.merges"):
        assert header.fields[name] is None, "a vocabulary isn't kept"


def test_the_cache_is_counted_with_one_number_for_all_layers_or_one_for_each(tmp_path: Path) -> None:
    same = written(tmp_path / "same.gguf", **GOOD)
    assert cache_of(same, tmp_path) == 2 * 2 * 2 * 16 * 100 * 2
    each = written(tmp_path / "each.gguf", **GOOD | {"attention.head_count_kv": [2, 1]})
    assert cache_of(each, tmp_path) == 2 * (2 + 1) * 16 * 100 * 2
    bare = written(tmp_path / "bare.gguf")
    assert cache_of(bare, tmp_path) == 0


DAMAGED = {
    "no architecture": (file_of(entry("general.name", STRING, text("x"))), "general.architecture is missing"),
    "a number for the architecture": (
        file_of(entry("general.architecture", U32, struct.pack("<I", 7))),
        "general.architecture is 7",
    ),
    "no name": (file_of(entry("general.architecture", STRING, text(""))), "general.architecture is ''"),
    "a list of names": (
        file_of(entry("general.architecture", ARRAY, struct.pack("<IQ", STRING, 1) + text("llama"))),
        "general.architecture is a list",
    ),
    "twice": (
        file_of(*[entry("general.architecture", STRING, text("llama"))] * 2),
        "general.architecture is there twice",
    ),
    "a text longer than the file": (
        file_of(text("general.name") + struct.pack("<IQ", STRING, 2**63)),
        "it ends amid general.name",
    ),
    "a list longer than the file": (
        file_of(text("some.list") + struct.pack("<IIQ", ARRAY, U32, 2**62)),
        "some.list has",
    ),
    "an unknown type": (file_of(entry("odd", 77, b"")), "odd is of type 77"),
    "a list of lists": (file_of(entry("odd", ARRAY, struct.pack("<IQ", ARRAY, 1))), "odd is a list of type 9"),
    "more fields than there are": (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**40), "it ends amid"),
    "another version": (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "version 50331648"),
    "nothing but the magic": (b"GGUF", "it ends amid its first numbers"),
    "an alignment of 0": (
        file_of(entry("general.alignment", U32, struct.pack("<I", 0))),
        "general.alignment is 0",
    ),
    "a download that was broken off": (
        file_of(tensors=1, rest=text("token_embd.weight") + struct.pack("<IQQIQ", 2, 64, 9, 0, 4096)),
        "it ends before the tensor token_embd.weight",
    ),
}


@pytest.mark.engine
@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_damaged_is_told_at_load_and_by_the_doctor(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kb_assistant.llm.open.SMALLEST", 0)
    content, reason = DAMAGED[name]
    path = tmp_path / "odd.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        LlamaCppChat(model_path=path).invoke("hi")
    assert caught.value.message.startswith(f"{path} can't be loaded: ")
    assert reason in caught.value.message
    assert caught.value.hint
    home = tmp_path / "home"
    ModelHome(home / "models").add(path)
    for chosen in ("odd", "auto"):
        found = {finding.subject: finding for finding in examine(Settings(home=home, model=chosen))}
        assert found["memory"].state == "broken"
        assert reason in found["memory"].detail
    assert [model.name for model in ModelHome(home / "models").installed()] == ["odd"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("block_count", "two"),
        ("block_count", -1),
        ("attention.head_count", 1.5),
        ("attention.head_count_kv", ["a", "b"]),
        ("attention.head_count_kv", [1, 2, 3]),
        ("attention.key_length", "x"),
        ("embedding_length", [-3, 4]),
    ],
)
def test_an_odd_field_is_named(tmp_path: Path, field: str, value: Any) -> None:
    path = written(tmp_path / "odd.gguf", **GOOD | {field: value})
    with pytest.raises(ModelError, match=f"llama.{field} is ") as caught:
        cache_of(path, tmp_path)
    assert caught.value.hint


@given(st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_end_in_another_error(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes of a good header are changed, and the file cut."""
    path = tmp_path / "good.gguf"
    if not path.exists():
        written(path, **GOOD | {"attention.head_count_kv": [2, 1], "name": "a model"})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    odd = tmp_path / "odd.gguf"
    odd.write_bytes(content[: data.draw(st.integers(4, len(content)))])
    with suppress(ModelError):
        cache_of(odd, tmp_path)
