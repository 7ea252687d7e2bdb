"""An adapter merged into its model, as a model for llama.cpp of its own: in F16 or Q8_0, never in 4 bits.

The steps of 4 bits are far wider than a usual update: the merged weights would round back to those of the base.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kb_assistant.chatglm2.checkpoint import Checkpoint, read_checkpoint
from kb_assistant.chatglm2.gguf_writer import Precision, require_writer
from kb_assistant.chatglm2.prepare import prepare
from kb_assistant.chatglm2.weights import Weights, dequantised
from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.model_folder import Model, weights_digest
from kb_assistant.models.adapters import WEIGHTS, Adapter
from kb_assistant.models.home import ModelHome
from kb_assistant.models.staging import installing, publish
from kb_assistant.training.gguf_adapter import OFFICIAL, fused, pairs_of

if TYPE_CHECKING:
    import torch

PRECISIONS = ("f16", "q8_0")


class MergedWeights:
    """The weights of a checkpoint with an adapter added, in float32; packed ones are unpacked.

    Args:
        folder: The adapter, in peft's form.
    """

    def __init__(self, checkpoint: Checkpoint, folder: Path) -> None:
        self._weights, pairs = Weights(checkpoint), pairs_of(folder)
        self._scales = {name for name in checkpoint.tensor_shapes() if name.endswith("_scale")}
        self._pairs = {
            f"transformer.encoder.layers.{layer}.{OFFICIAL[name]}.weight": pair
            for layer in range(checkpoint.layers)
            for name, pair in fused(checkpoint, pairs, layer).items()
        }

    def __getitem__(self, name: str) -> torch.Tensor:
        tensor, update = self.base(name), self.update(name)
        return tensor if update is None else tensor.float() + update

    def base(self, name: str) -> torch.Tensor:
        """A tensor without what the adapter adds."""
        import torch

        tensor = self._weights[name]
        if f"{name}_scale" not in self._scales:
            return tensor
        return dequantised(tensor, self._weights[f"{name}_scale"].float(), torch.float32)

    def update(self, name: str) -> torch.Tensor | None:
        """What the adapter adds to a matrix [out, in]; None for nothing."""
        pair = self._pairs.get(name)
        return None if pair is None else pair[1] @ pair[0]

    def lost(self, precision: str) -> float:
        """What rounding takes from the update, as a share of its norm, in the matrices of the first layer."""
        from gguf import GGMLQuantizationType, quants

        kind = GGMLQuantizationType[precision.upper()]
        missed = whole = 0.0
        for name in [one for one in self._pairs if ".layers.0." in one]:
            wanted = self[name].float()
            if precision == "q8_0" and wanted.shape[1] % 32:
                continue
            rounded = quants.dequantize(quants.quantize(wanted.numpy(), kind), kind)
            missed += float(((wanted.numpy() - rounded) ** 2).sum())
            whole += float((wanted - self.base(name).float()).square().sum())
        return float((missed / whole) ** 0.5) if whole else 0.0


def merge(
    adapter: Adapter,
    base: Model,
    models: ModelHome,
    name: str,
    precision: str,
    say: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Model:
    """Install the merged model under a name.

    Args:
        base: The folder that the adapter was trained on.
        precision: "f16" or "q8_0".

    Raises:
        ModelError: another precision is wanted, the adapter isn't the model's, the name is taken, or the disk is
            full.
    """
    if precision not in PRECISIONS:
        raise ModelError(
            _(
                "No adapter is merged into {precision}: rounding to 4 bits takes all of it away.",
                precision=precision,
            ),
            _("Merge into f16 or q8_0; or leave it beside its model, where nothing is lost: --adapter"),
        )
    if adapter.method != "lora":
        raise ModelError(_("A prefix of P-Tuning v2 can't be merged."), _("Use it with --adapter."))
    if not base.path.is_dir():
        raise ModelError(
            _("Only adapters of ChatGLM2 are merged here."),
            _("Use it beside its model with --adapter; or merge what this writes with peft: kb train export"),
        )
    require_writer()
    adapter.require_base(base)
    models.require_free(name)
    rounded: Precision = "f16" if precision == "f16" else "q8_0"
    checkpoint = read_checkpoint(base.path)
    for file in ("adapter_config.json", WEIGHTS):
        adapter.path(file)
    weights = MergedWeights(checkpoint, adapter.folder)
    share = weights.lost(precision)
    say(
        _(
            "In the first layer, rounding to {precision} takes {share:.1%} of the update's norm away.",
            precision=precision.upper(),
            share=share,
        )
    )
    with installing(models.folder, name) as work:
        whole, folder = replace(checkpoint, bits=16), work / "model"
        model = prepare(whole, folder, rounded, weights_digest, on_progress, weights, adapter.sha256)
        publish(replace(model, name=name), folder, models.folder)
    return models.get(name, "chat")
