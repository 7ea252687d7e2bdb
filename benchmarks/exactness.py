"""ChatGLM2 against its original code: the largest difference of a logit, and whether greedy tokens are equal.

The folders are tiny ones in the official layouts, the recorded logits those of the code published with the model
(tests/data/chatglm2/README.md). Limit: 5e-5 in float32.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import report

from kb_assistant.chatglm2 import load_model
from kb_assistant.chatglm2.checkpoint import read_checkpoint
from kb_assistant.chatglm2.gguf_writer import write_gguf

DATA = Path("tests/data/chatglm2")
LIMIT = 5e-5
WORD = 447


def golden(name: str) -> dict[str, torch.Tensor]:
    with np.load(DATA / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


def row(what: str, found: torch.Tensor, expected: torch.Tensor, tokens: bool | None = None) -> dict[str, Any]:
    off = float((found[:, -expected.shape[1] :] - expected).abs().max())
    return {"what": what, "max |Δ|": f"{off:.1e}", "limit": f"{LIMIT:.0e}", "tokens equal": tokens}


@torch.inference_mode()
def torch_rows() -> Iterator[dict[str, Any]]:
    """The torch engine on every recorded case that differs from the others in kind."""
    fp32, int4 = golden("golden_fp32"), golden("golden_int4")
    model = load_model(DATA / "tiny-chatglm2")
    steps = torch.cat([fp32["b_prompt_ids"], fp32["b_new_tokens"]], dim=1)
    written = model.generate(fp32["b_prompt_ids"], max_new_tokens=32, do_sample=False)
    yield row("40 tokens", model(fp32["a_input_ids"]).logits, fp32["a_logits"])
    yield row(
        "32 greedy steps",
        model(steps[:, :-1]).logits[:, 39:],
        fp32["b_step_logits"],
        torch.equal(written, steps),
    )
    mask = fp32["c_attention_mask"]
    batch = model(fp32["c_input_ids"], attention_mask=mask, position_ids=fp32["c_position_ids"]).logits
    yield row("batch padded on the left", batch[mask.bool()][None], fp32["c_logits"][mask.bool()][None])
    far = model(fp32["d_input_ids"].long()).logits[:, fp32["d_positions"]]
    yield row("2,100 tokens", far, fp32["d_logits"])
    for case in ("e1", "e2"):
        found = model(fp32["a_input_ids"], position_ids=fp32[f"{case}_position_ids"]).logits
        yield row(f"positions from {int(fp32[f'{case}_position_ids'][0, 0]):,}", found, fp32[f"{case}_logits"])
    plain, packed = (load_model(DATA / "tiny-chatglm2-int4", quantize=kind) for kind in (None, "int4"))
    found = packed(fp32["a_input_ids"]).logits
    yield row("INT4, packed", found, int4["a_logits"])
    yield row("INT4, packed against dequantised", found, plain(fp32["a_input_ids"]).logits)


def llama_row() -> dict[str, Any]:
    """llama.cpp on the same weights in F32, its cache too, after each step of the original's greedy answer."""
    import xllamacpp

    fp32 = golden("golden_fp32")
    prompt, answer = fp32["b_prompt_ids"][0].tolist(), fp32["b_new_tokens"][0].tolist()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tiny.gguf"
        write_gguf(read_checkpoint(DATA / "tiny-chatglm2"), file, "f32")
        params = xllamacpp.CommonParams()
        params.model.path = str(file)
        params.n_ctx, params.n_parallel, params.warmup, params.verbosity = 256, 1, False, 0
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        server = xllamacpp.Server(params)
        steps = [_log_probabilities(server, prompt + answer[:n]) for n in range(len(answer))]
    found = torch.stack(steps)[None]
    equal = found[0].argmax(-1).tolist() == answer
    return row("llama.cpp, F32, log-probabilities", found, fp32["b_step_logits"].log_softmax(-1), equal)


def _log_probabilities(server: Any, ids: list[int]) -> torch.Tensor:
    """Of each token after these. It is made to say a whole word: half a character comes without numbers."""
    request = {"prompt": ids, "max_tokens": 1, "temperature": 0, "logprobs": 640, "logit_bias": [[WORD, 1000]]}
    said = server.handle_completions(request | {"stream": False})["choices"][0]["logprobs"]["content"][0]
    found = {entry["id"]: entry["logprob"] for entry in said["top_logprobs"]}
    return torch.tensor([found[i] for i in range(640)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    report("ChatGLM2 against its original code", [*torch_rows(), llama_row()], arguments.json)


if __name__ == "__main__":
    main()
