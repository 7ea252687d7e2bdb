"""GGUF files from ChatGLM2 folders: the same numbers, whole after any interruption, and right in llama.cpp."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from gguf import GGUFReader, quants
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kb_assistant.chatglm2 import load_model
from kb_assistant.chatglm2.checkpoint import read_checkpoint
from kb_assistant.chatglm2.gguf_writer import Precision, write_gguf
from kb_assistant.chatglm2.tokenizer import build_tokenizer
from kb_assistant.chatglm2.weights import dequantised
from kb_assistant.errors import ModelError
from kb_assistant.llm.llama_server import open_server
from tests.chatglm2_data import TINY, TINY_INT4, as_bin, copied, golden, tensors

pytestmark = pytest.mark.engine

LAYER = {
    "attn_norm.weight": "input_layernorm.weight",
    "attn_qkv.weight": "self_attention.query_key_value.weight",
    "attn_qkv.bias": "self_attention.query_key_value.bias",
    "attn_output.weight": "self_attention.dense.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "ffn_up.weight": "mlp.dense_h_to_4h.weight",
    "ffn_down.weight": "mlp.dense_4h_to_h.weight",
}
SOURCES = {
    "token_embd.weight": "transformer.embedding.word_embeddings.weight",
    "output_norm.weight": "transformer.encoder.final_layernorm.weight",
    "output.weight": "transformer.output_layer.weight",
} | {
    f"blk.{i}.{ours}": f"transformer.encoder.layers.{i}.{theirs}"
    for i in range(3)
    for ours, theirs in LAYER.items()
}
FP32 = golden("golden_fp32")


def write(
    source: Path, file: Path, kind: Precision = "q4_0", on_progress: Callable[[float], None] = lambda _: None
) -> Path:
    write_gguf(read_checkpoint(source), file, kind, on_progress)
    return file


def read(file: Path) -> dict[str, tuple[str, torch.Tensor]]:
    """Type and numbers of each tensor."""
    return {
        tensor.name: (tensor.tensor_type.name, torch.tensor(quants.dequantize(tensor.data, tensor.tensor_type)))
        for tensor in GGUFReader(file).tensors
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The INT4 folder, written without a break."""
    return write(TINY_INT4, tmp_path_factory.mktemp("gguf") / "whole.gguf")


# --- numbers


@pytest.mark.parametrize(
    ("kind", "outer", "off"),
    [("q4_0", "Q8_0", 0.005), ("q8_0", "Q8_0", 0.005), ("f16", "F16", 0), ("f32", "F32", 0)],
)
def test_int4_weights_stay_exactly_what_they_are(tmp_path: Path, kind: Precision, outer: str, off: float) -> None:
    """Only embedding and output layer, which are fp16 in the folder, become what is asked for."""
    source, written = tensors(TINY_INT4), read(write(TINY_INT4, tmp_path / "m.gguf", kind))
    assert written.keys() == SOURCES.keys()
    kinds = set()
    for name, (found_kind, found) in written.items():
        expected = source[SOURCES[name]]
        if name in ("token_embd.weight", "output.weight"):
            assert found_kind == outer
            assert (found.float() - expected.float()).abs().max() <= off * expected.abs().max(), name
            continue
        if expected.dtype == torch.int8:
            kinds.add((name.split(".", 2)[-1], found_kind))
            expected = dequantised(expected, source[f"{SOURCES[name]}_scale"], torch.float32)
        assert found.equal(expected.float()), name
    # Rows of 170 aren't whole blocks of 32.
    q4_0 = {(f"{matrix}.weight", "Q4_0") for matrix in ("attn_qkv", "attn_output", "ffn_up")}
    assert kinds == q4_0 | {("ffn_down.weight", "F32")}


@pytest.mark.parametrize(
    ("kind", "inner", "outer", "off"),
    [
        ("f32", "F32", "F32", 0.0),
        ("f16", "F16", "F16", 5e-4),
        ("q8_0", "Q8_0", "Q8_0", 0.005),
        ("q4_0", "Q4_0", "Q8_0", 0.13),
    ],
)
def test_float_weights_become_what_is_asked_for(
    tmp_path: Path, kind: Precision, inner: str, outer: str, off: float
) -> None:
    source, written = tensors(TINY), read(write(TINY, tmp_path / "m.gguf", kind))
    assert written.keys() == SOURCES.keys()
    for name, (found_kind, found) in written.items():
        expected = source[SOURCES[name]]
        if expected.ndim == 1:
            assert (found_kind, found.equal(expected)) == ("F32", True), name
            continue
        whole_blocks = expected.shape[1] % 32 == 0
        wanted = outer if name in ("token_embd.weight", "output.weight") else inner
        assert found_kind == (wanted if whole_blocks else "F32" if kind == "f32" else "F16"), name
        assert (found - expected).abs().max() <= off * expected.abs().max(), name


def test_the_file_tells_the_architecture(tmp_path: Path) -> None:
    folder = copied(TINY_INT4, tmp_path / "m", rope_ratio=16, layernorm_epsilon=2e-5)
    fields = GGUFReader(write(folder, tmp_path / "m.gguf")).fields
    wanted = {
        "general.architecture": "chatglm",
        "chatglm.block_count": 3,
        "chatglm.context_length": 32768,
        "chatglm.embedding_length": 128,
        "chatglm.feed_forward_length": 170,
        "chatglm.attention.head_count": 4,
        "chatglm.attention.head_count_kv": 2,
        "chatglm.rope.dimension_count": 16,
        "chatglm.rope.scaling.type": "linear",
        "chatglm.rope.scaling.factor": 16.0,
        "tokenizer.ggml.eos_token_id": 2,
    }
    assert {key: fields[key].contents() for key in wanted} == wanted
    assert fields["chatglm.attention.layer_norm_rms_epsilon"].contents() == pytest.approx(2e-5)
    assert len(fields["tokenizer.ggml.tokens"].contents()) == 640


@pytest.mark.parametrize("damage", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_not_written(tmp_path: Path, damage: float) -> None:
    weights = tensors(TINY_INT4)
    weights["transformer.output_layer.weight"][5, 5] = damage
    folder = as_bin(TINY_INT4, tmp_path / "m", weights)
    with pytest.raises(ModelError, match="holds values that are no numbers"):
        write(folder, tmp_path / "m.gguf")
    assert not (tmp_path / "m.gguf").exists()


# --- interruptions


@settings(max_examples=15)
@given(share=st.floats(0, 1), noise=st.binary(max_size=64))
@example(share=0, noise=b"")
@example(share=1, noise=b"")
@example(share=1, noise=b"more than the file holds")
def test_a_file_cut_anywhere_is_finished_with_the_same_bytes(
    finished: Path, tmp_path_factory: pytest.TempPathFactory, share: float, noise: bytes
) -> None:
    """The last bytes before a power cut may be anything."""
    whole = finished.read_bytes()
    cut = int(share * len(whole))
    file = tmp_path_factory.mktemp("cut") / "m.gguf"
    part = file.with_name("m.gguf.part")
    part.write_bytes(whole[: max(0, cut - len(noise))] + noise)
    write(TINY_INT4, file)
    assert file.read_bytes() == whole
    assert not part.exists()


def test_what_was_written_is_not_written_again(finished: Path, tmp_path: Path) -> None:
    whole = finished.read_bytes()
    (tmp_path / "m.gguf.part").write_bytes(whole[: len(whole) * 3 // 4])
    told: list[float] = []
    write(TINY_INT4, tmp_path / "m.gguf", on_progress=told.append)
    assert 0.3 < told[0] < 1
    assert told == sorted(told)
    assert told[-1] == 1


@pytest.mark.parametrize("other", ["kind", "config", "weights", "no GGUF"])
def test_a_part_of_another_source_is_thrown_away(tmp_path: Path, other: str) -> None:
    folder = copied(TINY, tmp_path / "m")
    left = write(folder, tmp_path / "left.gguf", "f16" if other == "kind" else "q8_0").read_bytes()
    if other == "config":
        copied(folder, tmp_path / "changed", layernorm_epsilon=1e-6)
        (tmp_path / "changed" / "config.json").replace(folder / "config.json")
    elif other == "weights":
        os.utime(folder / "model.safetensors", (1, 1))
    elif other == "no GGUF":
        left = bytes(len(left))
    (tmp_path / "m.gguf.part").write_bytes(left[:-1000])
    told: list[float] = []
    written = write(folder, tmp_path / "m.gguf", "q8_0", told.append)
    assert told[0] == 0
    assert written.read_bytes() == write(folder, tmp_path / "again.gguf", "q8_0").read_bytes()


def test_a_process_killed_while_it_writes_is_continued(finished: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from kb_assistant.chatglm2.checkpoint import read_checkpoint\n"
        "from kb_assistant.chatglm2.gguf_writer import write_gguf\n"
        "def say(share):\n"
        "    print(share, flush=True)\n"
        "    time.sleep(3600 if share > 0.6 else 0)\n"
        "write_gguf(read_checkpoint(Path(sys.argv[1])), Path(sys.argv[2]), 'q4_0', say)\n"
    )
    file = tmp_path / "m.gguf"
    command = [sys.executable, "-c", code, str(TINY_INT4), str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if float(line) > 0.6:
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL
    assert not file.exists()
    assert 0 < file.with_name("m.gguf.part").stat().st_size < finished.stat().st_size
    assert write(TINY_INT4, file).read_bytes() == finished.read_bytes()
    assert list(tmp_path.iterdir()) == [file]


def test_too_full_a_disk_is_noticed_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(ModelError, match=r"100 MB are needed in .*, 1 MB are free") as caught:
        write(TINY, tmp_path / "m.gguf")
    assert caught.value.hint == "Make room."
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ModelError, match="gguf is missing") as caught:
        write(TINY, tmp_path / "m.gguf")
    assert caught.value.hint == 'pip install "kb-assistant[llama]"'
    assert list(tmp_path.iterdir()) == []


# --- memory


def large(folder: Path, megabytes: int, bits: int) -> Path:
    """A folder with weights of this size, all zeros."""
    shape = {"hidden_size": 1024, "ffn_hidden_size": 2816, "kv_channels": 128, "num_attention_heads": 8}
    per_layer = {4: 5.7, 16: 22.6}[bits]
    shape |= {"num_layers": round(megabytes / per_layer), "quantization_bit": 4 if bits == 4 else 0}
    copied(TINY_INT4, folder, **shape)
    weights = {}
    for name, size in read_checkpoint(folder).tensor_shapes().items():
        weights[name] = torch.zeros(size, dtype=torch.int8 if bits == 4 and len(size) == 2 else torch.float16)
    for name in ("transformer.embedding.word_embeddings.weight", "transformer.output_layer.weight"):
        weights[name] = weights[name].half()
    torch.save(weights, folder / "pytorch_model.bin")
    return folder


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the memory")
def test_writing_holds_one_tensor_and_no_second_copy_of_the_model(tmp_path: Path) -> None:
    """Pages of the mapped source count as memory of the process, so a copy would show as twice the source."""
    folders = [large(tmp_path / "int4", 100, 4), large(tmp_path / "fp16", 180, 16)]
    code = (
        "import sys, torch, gguf; from pathlib import Path\n"
        "from kb_assistant.chatglm2.checkpoint import read_checkpoint\n"
        "from kb_assistant.chatglm2.gguf_writer import write_gguf\n"
        "def peak():\n"
        "    lines = Path('/proc/self/status').read_text().splitlines()\n"
        "    return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM')) / 1000\n"
        "before = peak()\n"
        "for folder in map(Path, sys.argv[1:]):\n"
        "    write_gguf(read_checkpoint(folder), folder.with_suffix('.gguf'), 'f16')\n"
        "    print(peak() - before)\n"
    )
    command = [sys.executable, "-c", code, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    int4, fp16 = ((folder / "pytorch_model.bin").stat().st_size / 1e6 for folder in folders)
    shutil.rmtree(tmp_path)  # pytest would keep it for days
    peaks = [float(peak) for peak in done.stdout.split()]
    assert 95 < int4 < peaks[0] < int4 + 60
    assert 170 < fp16 < peaks[1] < fp16 + 120


# --- in llama.cpp


class Engine:
    """llama.cpp in full precision: no half-precision cache, and none of the attention that rounds to it."""

    def __init__(self, file: Path) -> None:
        xllamacpp = pytest.importorskip("xllamacpp")
        params = xllamacpp.CommonParams()
        params.model.path = str(file)
        params.n_ctx, params.n_parallel, params.warmup, params.verbosity = 256, 1, False, 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.offline = True
        self._server = xllamacpp.Server(params)

    def log_probabilities(self, ids: list[int]) -> torch.Tensor:
        """Of each token after these. It is made to say a whole word: half a character comes without numbers."""
        word = 447
        request = {"prompt": ids, "max_tokens": 1, "temperature": 0, "logprobs": 640, "logit_bias": [[word, 1000]]}
        said = self._server.handle_completions(request | {"stream": False})["choices"][0]["logprobs"]["content"][0]
        assert said["id"] == word
        found = {entry["id"]: entry["logprob"] for entry in said["top_logprobs"]}
        return torch.tensor([found[i] for i in range(640)])

    def follow(self, ids: list[int], first: int) -> torch.Tensor:
        """Log-probabilities after each beginning of `ids` that has at least `first` tokens."""
        return torch.stack([self.log_probabilities(ids[:n]) for n in range(first, len(ids) + 1)])


def test_llama_cpp_computes_what_the_original_does(tmp_path: Path) -> None:
    engine = Engine(write(TINY, tmp_path / "m.gguf", "f32"))
    prompt, answer = FP32["b_prompt_ids"][0].tolist(), FP32["b_new_tokens"][0].tolist()
    found = engine.follow(prompt + answer[:-1], len(prompt))
    assert found.argmax(-1).tolist() == answer
    assert (found - FP32["b_step_logits"][0].log_softmax(-1)).abs().max() < 1e-4


def test_llama_cpp_divides_positions_for_the_32k_release(tmp_path: Path) -> None:
    folder = copied(TINY, tmp_path / "m", rope_ratio=4)
    found = Engine(write(folder, tmp_path / "m.gguf", "f32")).follow(FP32["a_input_ids"][0].tolist(), 31)
    assert (found - FP32["f4_logits"][0].log_softmax(-1)).abs().max() < 1e-4


def test_llama_cpp_raises_the_base_of_the_angles_for_chatglm3(tmp_path: Path) -> None:
    folder = copied(TINY, tmp_path / "m", rope_ratio=4, _name_or_path="THUDM/chatglm3-6b-32k")
    ids = FP32["a_input_ids"]
    found = Engine(write(folder, tmp_path / "m.gguf", "f32")).follow(ids[0].tolist(), 31)
    with torch.inference_mode():
        expected = load_model(folder)(ids).logits[0, -10:].log_softmax(-1)
    assert (found - expected).abs().max() < 1e-4


def test_llama_cpp_says_with_int4_weights_nearly_what_the_original_does(finished: Path) -> None:
    """It rounds what goes into a product to 8 bits; the weights are the same."""
    found = Engine(finished).follow(FP32["a_input_ids"][0].tolist(), 25)
    expected = golden("golden_int4")["a_logits"][0, 24:].log_softmax(-1)
    assert (found - expected).abs().mean() < 0.1
    assert (found.argmax(-1) == expected.argmax(-1)).sum() >= 14


def test_the_vocabulary_in_the_file_reads_texts_as_the_tokenizer_does(finished: Path) -> None:
    server, tokenizer = open_server(finished, 256, 1), build_tokenizer(TINY / "tokenizer.model")
    for text in ("你好，世界", "  hello  \n\n world", "[gMASK]sop</s><|sop|>", "🙂 é ﷽", "[Round 1]\n\n问：检索"):
        assert server.tokens(text, control=False) == tokenizer.encode(text, add_special_tokens=False).ids
