"""Files of a folder that can't be used say what is wrong and what to do, and none of them runs code."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from kb_assistant.chatglm2 import load_model, load_tokenizer
from kb_assistant.errors import ModelError
from kb_assistant.models.home import ModelHome
from tests.chatglm2_data import TINY, TINY_INT4, as_bin, copied, tensors

pytestmark = pytest.mark.engine

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:e7dc4c393423b76e43\nsize 1018370\n"
DENSE = "transformer.encoder.layers.1.self_attention.dense.weight"
FIRST, SECOND = (f"pytorch_model-{i:05}-of-00002.bin" for i in (1, 2))


def refused(folder: Path, load: Callable[[Path], object] = load_model) -> str:
    """What is said about a folder that can't be used; every such message comes with advice."""
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert caught.value.hint
    return f"{caught.value.message} | {caught.value.hint}"


class Callback:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.file}'",)


# --- the tokenizer's file


def test_a_missing_tokenizer_is_named(tmp_path: Path) -> None:
    folder = copied(TINY_INT4, tmp_path / "m")
    (folder / "tokenizer.model").unlink()
    for load in (load_model, load_tokenizer):
        assert "has no tokenizer.model" in refused(folder, load)


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda data: data[:5000],
        lambda data: data[:4000] + bytes(100) + data[4100:],
        lambda _: bytes(i * 37 % 251 for i in range(9000)),
        lambda _: b"<html>",
    ],
    ids=["empty", "half", "hole", "noise", "page"],
)
def test_a_damaged_tokenizer_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    file = copied(TINY_INT4, tmp_path / "m") / "tokenizer.model"
    file.write_bytes(damage(file.read_bytes()))
    assert f"{file} is damaged, or no SentencePiece model" in refused(file.parent, load_tokenizer)


# --- the weights' files


def test_a_folder_without_weights_says_which_files_are_wanted(tmp_path: Path) -> None:
    folder = copied(TINY_INT4, tmp_path / "m")
    (folder / "pytorch_model.bin").unlink()
    assert "neither *.safetensors nor pytorch_model*.bin" in refused(folder)


@pytest.mark.parametrize(
    "name", [SECOND, "../evil.bin", "/etc/passwd", "..", ""], ids=["missing", "up", "root", "parent", "none"]
)
def test_an_index_names_files_of_its_folder_only(tmp_path: Path, name: str) -> None:
    folder = copied(TINY_INT4, tmp_path / "m")
    (folder / "pytorch_model.bin").rename(folder / FIRST)
    (tmp_path / "evil.bin").write_bytes((folder / FIRST).read_bytes())
    index = {"weight_map": {"a": FIRST, "b": name}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert f"is incomplete: {name} missing" in refused(folder)


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": []}', "{}"])
def test_a_damaged_index_is_named(tmp_path: Path, content: str) -> None:
    folder = copied(TINY_INT4, tmp_path / "m")
    (folder / "pytorch_model.bin.index.json").write_text(content)
    assert "pytorch_model.bin.index.json is damaged" in refused(folder)


@pytest.mark.parametrize("source", [TINY, TINY_INT4], ids=["safetensors", "bin"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda data: data[:1],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda _: b"<html>",
    ],
    ids=["empty", "byte", "half", "short", "page"],
)
def test_damaged_weights_are_named(tmp_path: Path, source: Path, damage: Callable[[bytes], bytes]) -> None:
    folder = copied(source, tmp_path / "m")
    file = folder / ("model.safetensors" if source is TINY else "pytorch_model.bin")
    file.write_bytes(damage(file.read_bytes()))
    said = refused(folder)
    assert f"{file} is damaged" in said
    assert "Download the folder again" in said


@pytest.mark.parametrize(
    ("kind", "bits", "reason"),
    [
        ("F6_E2M3", 6, "can't be read: .*F6_E2M3"),
        ("F8_E4M3", 8, "holds torch.float8_e4m3fn"),
        ("BOOL", 8, "torch.bool"),
    ],
)
def test_weights_of_an_odd_type_are_named(tmp_path: Path, kind: str, bits: int, reason: str) -> None:
    folder = copied(TINY, tmp_path / "m")
    odd = "transformer.encoder.final_layernorm.weight"
    header: dict[str, dict[str, object]] = {}
    data = b""
    for name, tensor in tensors(TINY).items():
        raw = bytes(tensor.numel() * bits // 8) if name == odd else tensor.half().numpy().tobytes()
        header[name] = {
            "dtype": kind if name == odd else "F16",
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    head = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + data)
    message = refused(folder)
    assert odd in message
    assert re.search(reason, message)


@pytest.mark.parametrize("name", ["tokenizer.model", "pytorch_model.bin", "model.safetensors"])
def test_a_pointer_in_the_place_of_a_file_is_called_so(tmp_path: Path, name: str) -> None:
    folder = copied(TINY if name == "model.safetensors" else TINY_INT4, tmp_path / "m")
    (folder / name).write_text(POINTER)
    said = refused(folder)
    assert f"{folder / name} is only a pointer to the file" in said
    assert f"Run in {folder}: git lfs pull" in said


def without(name: str) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(weights: dict[str, torch.Tensor]) -> None:
        del weights[name]

    return change


def half(name: str) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(weights: dict[str, torch.Tensor]) -> None:
        weights[name] = weights[name][::2].clone()

    return change


def spoilt(name: str, value: float) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(weights: dict[str, torch.Tensor]) -> None:
        weights[name] = weights[name].clone()
        weights[name].view(-1)[3] = value

    return change


def retyped(name: str, dtype: torch.dtype) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(weights: dict[str, torch.Tensor]) -> None:
        weights[name] = weights[name].to(dtype)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (retyped(DENSE, torch.float16), f"is damaged: {DENSE} holds torch.float16"),
        (retyped(DENSE, torch.uint8), f"is damaged: {DENSE} holds torch.uint8"),
        (retyped(f"{DENSE}_scale", torch.int8), f"is damaged: {DENSE}_scale holds torch.int8"),
        (without(DENSE), f"is incomplete: {DENSE} is missing"),
        (without(f"{DENSE}_scale"), f"is incomplete: {DENSE}_scale is missing"),
        (half(DENSE), f"is damaged: {DENSE} has the shape [64, 64], not [128, 64]"),
        (spoilt(f"{DENSE}_scale", float("nan")), "holds values that are no numbers"),
        (spoilt("transformer.embedding.word_embeddings.weight", float("inf")), "holds values that are no numbers"),
        (spoilt("transformer.encoder.final_layernorm.weight", float("nan")), "holds values that are no numbers"),
    ],
    ids=["float", "unsigned", "scale type", "missing", "no scale", "shape", "scale", "embedding", "norm"],
)
def test_wrong_tensors_are_named(
    tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], None], message: str
) -> None:
    weights = tensors(TINY_INT4)
    change(weights)
    assert message in refused(as_bin(TINY_INT4, tmp_path / "m", weights))


def test_a_matrix_with_a_value_that_is_no_number_is_refused(tmp_path: Path) -> None:
    weights = tensors(TINY)
    spoilt(DENSE, float("nan"))(weights)
    folder = copied(TINY, tmp_path / "m")
    save_file(weights, folder / "model.safetensors")
    assert "holds values that are no numbers" in refused(folder)
    assert "holds values that are no numbers" in refused(folder, lambda path: load_model(path, quantize="int4"))


def test_int4_weights_with_the_configuration_of_others_are_refused(tmp_path: Path) -> None:
    said = refused(copied(TINY_INT4, tmp_path / "m", quantization_bit=None))
    assert "has the shape [256, 64], not [256, 128]. | Its config.json belongs to other weights" in said


def test_a_file_of_another_structure_is_refused(tmp_path: Path) -> None:
    for i, content in enumerate(([torch.zeros(3)], {"state": {"a": torch.zeros(3)}}, {"epoch": 3})):
        folder = copied(TINY_INT4, tmp_path / str(i))
        torch.save(content, folder / "pytorch_model.bin")
        assert "doesn't hold weights by name" in refused(folder)


def test_the_old_form_of_pytorch_files_is_read(tmp_path: Path) -> None:
    folder = copied(TINY_INT4, tmp_path / "m")
    torch.save(tensors(TINY_INT4), folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    ids = torch.tensor([[601, 603, 567]])
    with torch.inference_mode():
        assert load_model(folder)(ids).logits.equal(load_model(TINY_INT4)(ids).logits)


# --- no code


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    folder, trace = copied(TINY_INT4, tmp_path / "m"), tmp_path / "it ran"
    weights = tensors(TINY_INT4) | {DENSE: Callback(trace)}
    torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    said = refused(folder)
    assert "holds more than weights: loading it could run code. | Get it from the official source" in said
    assert "weights_only" not in said
    assert not trace.exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert trace.exists(), "the file would have done nothing anyway"


def test_scripts_in_the_folder_are_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, trace = copied(TINY_INT4, tmp_path / "m", _name_or_path=None), tmp_path / "it ran"
    for script in ("configuration_chatglm", "modeling_chatglm", "tokenization_chatglm", "quantization", "torch"):
        (folder / f"{script}.py").write_text(f"open({str(trace)!r}, 'w')\nraise SystemExit\n")
    monkeypatch.chdir(folder)
    load_model(folder)
    load_tokenizer(folder)
    home = ModelHome(tmp_path / "home")
    for engine in ("torch", "llama"):
        home.add(folder, engine, engine=engine)
    assert home.get(str(folder), "chat").template == "chatglm2"
    assert not trace.exists()
