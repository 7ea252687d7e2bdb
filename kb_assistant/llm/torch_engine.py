"""ChatGLM2 by torch: token ids in, pieces of text out. For CUDA, and for a CPU without llama.cpp."""

from __future__ import annotations

import codecs
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import torch
from transformers import DynamicCache, GlmForCausalLM
from transformers.generation.logits_process import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from kb_assistant.chatglm2.checkpoint import Checkpoint
from kb_assistant.chatglm2.model import Quantize, load_model
from kb_assistant.chatglm2.prompt import ChatTemplate
from kb_assistant.errors import ModelError
from kb_assistant.llm.base import Sampling
from kb_assistant.llm.prefix_cache import PrefixCache
from kb_assistant.llm.request_queue import Emit, RequestQueue
from kb_assistant.llm.streaming import Delta, usage_of
from kb_assistant.llm.torch_adapter import attach_adapter
from kb_assistant.messages import _
from kb_assistant.models.adapters import Adapter
from kb_assistant.torch_runtime import forked_from_gpu, gpu_errors, is_installed

# Prompt tokens processed between two checks whether the reader has gone away: more where it is fast.
_PROMPT_BATCH = {"cpu": 64, "cuda": 512}
# Memory for prompts of conversations other than the last one; 28 KB per token.
_PREFIX_BYTES = 256 * 2**20
# Strengths of an adapter whose conversations are kept: with it, and the base alone.
_STRENGTHS = 2


class TorchEngine:
    """A loaded model and its cached conversations, perhaps with an adapter.

    Args:
        checkpoint: An official folder.
        quantize: As `load_model` takes it.
        device: "cpu" or "cuda".
        context_tokens: Longest prompt and answer together.
        adapter: What was trained on the model.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        template: ChatTemplate,
        quantize: Quantize | None,
        device: str,
        context_tokens: int,
        adapter: Adapter | None = None,
    ) -> None:
        self._process = os.getpid()
        self._template, self._context = template, context_tokens
        self._device = torch.device(device)
        dtype = best_dtype(device, quantize)
        with gpu_errors():
            self._model: GlmForCausalLM = load_model(checkpoint.folder, dtype, quantize, device)
            self._attached = attach_adapter(self._model, checkpoint, adapter, dtype, self._device)
        self._kept: dict[float, PrefixCache] = {}
        self._set_strength(1.0)
        self.queue: RequestQueue[Delta] = RequestQueue("glm-answer")

    @torch.inference_mode()
    def answer(self, ids: Sequence[int], sampling: Sampling, emit: Emit[Delta]) -> None:
        """Generate the answer to a prompt, piece by piece, until it ends or the reader is gone.

        Raises:
            ModelError: the prompt doesn't fit the context, memory is too small, or this process was forked from
                the one that loaded the model onto a GPU.
        """
        self._require(ids)
        self._set_strength(sampling.adapter_scale)
        cache, reused = self._prefixes.take(ids)
        run = _Run(list(ids), cache, reused)
        with gpu_errors():
            if self._read(run, emit):
                self._write(run, sampling, emit)
        # Not after an error, which may leave the layers with different lengths.
        self._prefixes.give(run.ids[: cache.get_seq_length() - self._prefixes.ahead], cache)
        emit(run.end())

    @torch.inference_mode()
    def log_probabilities(self, ids: Sequence[int], first: int, adapter_scale: float = 1.0) -> torch.Tensor:
        """What the model expects at each token from place `first` on, given those before it.

        Returns:
            Log-probabilities [len(ids) - first, vocabulary], float32.

        Raises:
            ModelError: as for answer.
        """
        self._require(ids)
        self._set_strength(adapter_scale)
        with gpu_errors():
            logits = self._forward(ids[:-1], self._attached.start(adapter_scale), len(ids) - first)
        return torch.log_softmax(logits, dim=-1)

    def _require(self, ids: Sequence[int]) -> None:
        """Refuse what can't be computed: in a fork of the process that has the GPU, or beyond the context."""
        if self._device.type == "cuda" and self._process != os.getpid():
            raise forked_from_gpu()
        if len(ids) >= self._context:
            raise ModelError(
                _(
                    "The prompt has {count} tokens; the context holds {context}.",
                    count=len(ids),
                    context=self._context,
                ),
                _("Raise context_tokens, or ask with fewer passages (k)."),
            )

    def _set_strength(self, strength: float) -> None:
        """Weigh the adapter. Keys and values that were computed at another strength are kept apart."""
        self._attached.weigh(strength)
        if strength not in self._kept:
            self._kept = dict(list(self._kept.items())[1 - _STRENGTHS :])
            self._kept[strength] = PrefixCache(_PREFIX_BYTES, partial(self._attached.start, strength))
        self._prefixes = self._kept[strength]

    def _read(self, run: _Run, emit: Emit[Delta]) -> bool:
        """Process the new tokens of the prompt; False if nobody waits for the answer any more."""
        for first in range(run.reused, len(run.ids), _PROMPT_BATCH[self._device.type]):
            if emit(Delta()):
                run.finish = "cancelled"
                return False
            run.logits = self._forward(run.ids[first : first + _PROMPT_BATCH[self._device.type]], run.cache)[-1]
        run.read_at = time.perf_counter()
        return True

    def _write(self, run: _Run, sampling: Sampling, emit: Emit[Delta]) -> None:
        choose = _Sampler(sampling, self._template.vocabulary_size, self._device)
        spelt = _Detokenizer(self._template, sampling.stop)
        room = self._context - len(run.ids)
        for _step in range(min(room, sampling.max_tokens or room)):
            token = choose(run.logits, run.ids)
            run.written += 1
            if token in self._template.stop_ids:
                run.finish = "stop"
                break
            run.ids.append(token)
            text = spelt.feed(token)
            if spelt.stopped:
                run.finish = "stop"
            elif emit(Delta(text)):
                run.finish = "cancelled"
            if run.finish:
                break
            run.logits = self._forward([token], run.cache)[-1]
        emit(Delta(spelt.rest()))
        run.finish = run.finish or "length"

    def _forward(self, ids: Sequence[int], cache: DynamicCache, last: int = 1) -> torch.Tensor:
        """Logits [last, vocabulary] after the last of these tokens."""
        tokens = torch.tensor([ids], device=self._device)
        first = cache.get_seq_length() - self._prefixes.ahead  # a prefix takes no positions
        positions = torch.arange(first, first + len(ids), device=self._device)[None]
        output = self._model(
            tokens, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=last
        )
        logits: torch.Tensor = output.logits[0, -last:].float()
        return logits


@dataclass(slots=True)
class _Run:
    """One answer in progress."""

    ids: list[int]
    cache: DynamicCache
    reused: int
    logits: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    written: int = 0
    finish: str = ""
    started_at: float = field(default_factory=time.perf_counter)
    read_at: float = 0.0
    prompt: int = field(init=False)

    def __post_init__(self) -> None:
        self.prompt = len(self.ids)

    def end(self) -> Delta:
        """The last piece: token counts, times in ms, and the finish reason."""
        now = time.perf_counter()
        read_at = self.read_at or now
        timings = {
            "prompt_ms": 1000 * (read_at - self.started_at),
            "predicted_ms": 1000 * (now - read_at),
            "predicted_per_second": self.written / max(now - read_at, 1e-9),
        }
        return Delta(
            usage=usage_of(self.prompt, self.written, self.reused),
            ending={"finish_reason": self.finish, "timings": timings},
        )


class _Sampler:
    """Picks the next token. The steps have the order of transformers' own sampling."""

    def __init__(self, sampling: Sampling, known: int, device: torch.device) -> None:
        self._greedy, self._known = sampling.temperature == 0, known
        self._steps = LogitsProcessorList()
        if sampling.repeat_penalty != 1:
            self._steps.append(RepetitionPenaltyLogitsProcessor(sampling.repeat_penalty))
        if not self._greedy:
            self._steps.append(TemperatureLogitsWarper(sampling.temperature))
            self._steps.append(TopKLogitsWarper(sampling.top_k))
            self._steps.append(TopPLogitsWarper(sampling.top_p))
        self._random = torch.Generator(device).manual_seed(sampling.seed)

    def __call__(self, logits: torch.Tensor, ids: Sequence[int]) -> int:
        """Raises:
        ModelError: the logits aren't numbers.
        """
        logits = logits[: self._known]  # the rest is padding of the output layer
        if not bool(torch.isfinite(logits).all()):
            raise ModelError(
                _("The model's arithmetic overflowed."), _("Its weights may be damaged: add it again.")
            )
        before = cast(torch.LongTensor, torch.tensor([ids], device=logits.device))
        scores = self._steps(before, cast(torch.FloatTensor, logits[None]))
        if self._greedy:
            return int(scores.argmax())
        return int(torch.multinomial(scores.softmax(dim=-1)[0], 1, generator=self._random))


class _Detokenizer:
    """Text of tokens as they come: whole characters only, without a leading blank and stop words."""

    def __init__(self, template: ChatTemplate, stop: Sequence[str]) -> None:
        self._template, self._stop = template, [word for word in stop if word]
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._started = False
        self.stopped = False

    def feed(self, token: int) -> str:
        """The text that can be shown after this token."""
        return self._show(self._decoder.decode(self._template.token_bytes(token)))

    def rest(self) -> str:
        """The text held back because a stop word might have begun, without half a character."""
        rest, self._held = self._held, ""
        return "" if self.stopped else rest

    def _show(self, text: str) -> str:
        text = text if self._started else text.lstrip()
        self._started = self._started or bool(text)
        text = self._held + text
        found = [at for word in self._stop if (at := text.find(word)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        held = max((_overlap(text, word) for word in self._stop), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]


def _overlap(text: str, word: str) -> int:
    """Length of the longest suffix of `text` that is a prefix of `word`."""
    return next((n for n in range(min(len(text), len(word) - 1), 0, -1) if text.endswith(word[:n])), 0)


def best_dtype(device: str, quantize: Quantize | None) -> torch.dtype:
    """bfloat16 where kernels exist: it doesn't overflow. Older GPUs use fp16, plain CPUs fp32."""
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability() >= (8, 0) else torch.float16
    return torch.bfloat16 if quantize else torch.float32


def best_quantize(checkpoint: Checkpoint, wanted: str) -> Quantize | None:
    """The meaning of `quantize` = "auto" for a folder: INT4 as it is; fp16 to NF4 if bitsandbytes is installed."""
    if wanted == "none":
        return None
    if wanted == "auto":
        return "nf4" if checkpoint.bits == 16 and is_installed("bitsandbytes") else "int4"
    return "int4" if wanted == "int4" else "nf4"
