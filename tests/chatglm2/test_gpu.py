"""The same network on a CUDA GPU: INT4 kernels against plain arithmetic, and the golden answers."""

from __future__ import annotations

import pytest
import torch
from langchain_core.messages import AIMessage, HumanMessage

from kb_assistant.chatglm2 import load_model
from kb_assistant.chatglm2.int4 import Int4Linear
from kb_assistant.chatglm2.weights import dequantised
from kb_assistant.llm.torch_chat import TorchChat
from tests.chatglm2_data import TINY, TINY_INT4, golden

pytestmark = [pytest.mark.engine, pytest.mark.gpu]


@pytest.mark.parametrize("rows", [1, 7, 300])
@pytest.mark.parametrize("shape", [(4096, 13696), (256, 4096)])
def test_the_int4_kernel_multiplies_as_plain_weights_do(shape: tuple[int, int], rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    packed = torch.randint(-128, 128, (shape[0], shape[1] // 2), dtype=torch.int8, generator=generator)
    scale = torch.rand(shape[0], generator=generator).half() / 100
    layer = Int4Linear(packed, scale, None, torch.bfloat16, torch.device("cuda"))
    assert layer.group, "a kernel is used"
    x = torch.randn(rows, shape[1], generator=generator).bfloat16().cuda()
    plain = x.double() @ dequantised(packed, scale, torch.float64).cuda().T
    error = (layer(x).double() - plain).abs().max() / plain.abs().max()
    assert error < 0.01


def test_golden_logits_and_tokens() -> None:
    recorded = golden("golden_fp32")
    model = load_model(TINY, device="cuda")
    with torch.inference_mode():
        logits = model(recorded["a_input_ids"].cuda()).logits.cpu()
    assert (logits - recorded["a_logits"]).abs().max() < 5e-4
    written = model.generate(recorded["b_prompt_ids"].cuda(), max_new_tokens=32, do_sample=False)
    assert torch.equal(written[:, 40:].cpu(), recorded["b_new_tokens"])


@pytest.mark.parametrize("quantize", ["none", "int4"])
def test_a_conversation_is_answered(quantize: str) -> None:
    chat = TorchChat(folder=TINY_INT4, quantize=quantize, device="cuda", temperature=0, max_tokens=16)
    first = [HumanMessage("hello")]
    answer = chat.invoke(first)
    assert answer.text
    again = chat.invoke([*first, AIMessage("world"), HumanMessage("今天天气很好")])
    assert isinstance(again, AIMessage)
    assert again.usage_metadata is not None
    assert again.usage_metadata["input_token_details"]["cache_read"] > 0


def test_nf4_answers() -> None:
    chat = TorchChat(folder=TINY, quantize="nf4", device="cuda", temperature=0, max_tokens=8)
    assert chat.invoke("hello").text
