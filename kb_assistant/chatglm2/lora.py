"""LoRA on the native network, by peft: low-rank updates of the linear layers, whatever their weights are kept in.

An adapter is `adapter_config.json` and `adapter_model.safetensors`, as peft writes them. Only those two are read,
and of the configuration only what describes a plain LoRA: nothing is fetched, imported or unpickled because of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.model_folder import damaged_field, read_config
from kb_assistant.torch_runtime import import_torch

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from transformers import PreTrainedModel

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj")
"""All linear layers of a decoder layer."""

PREFIX = "base_model.model.model.layers"
"""What the names of an adapter's tensors begin with."""

_MOST_RANK = 1024
_REMAKE = _("Train it anew, or take another adapter.")
# Variants of LoRA, by the switch that turns each on: other arithmetic, or other tensors than A and B.
_VARIANTS = (
    *("use_dora", "use_qalora", "use_bdlora", "use_rslora", "lora_bias", "modules_to_save", "rank_pattern"),
    *("alpha_pattern", "target_parameters", "trainable_token_indices", "layer_replication", "megatron_config"),
    *("fan_in_fan_out", "layers_to_transform", "alora_invocation_tokens", "exclude_modules"),
)


@dataclass(frozen=True, slots=True)
class LoraShape:
    """A plain LoRA: y = W x + alpha / rank · B A x for each target.

    Attributes:
        rank: Rows of A and columns of B.
        alpha: Its strength.
        targets: Names of the linear layers, of TARGETS.
        dropout: Share of the inputs of A that training leaves out.
    """

    rank: int = 8
    alpha: float = 16.0
    targets: tuple[str, ...] = TARGETS
    dropout: float = 0.0

    @property
    def scale(self) -> float:
        """What B A x is multiplied by."""
        return self.alpha / self.rank


def attach(model: PreTrainedModel, shape: LoraShape) -> PeftModel:
    """The model with a new adapter, whose weights alone are trained. Its B is zero, so that nothing changes yet.

    Raises:
        ModelError: peft is missing.
    """
    peft = import_peft()
    with warnings.catch_warnings():
        # It doesn't know Int4Linear, which has all that it needs.
        warnings.filterwarnings("ignore", "Unsupported layer type", UserWarning)
        warnings.filterwarnings("ignore", ".*gradient_checkpointing", FutureWarning)  # peft asks by the old name
        adapted: PeftModel = peft.get_peft_model(model, _config(shape))
    return adapted


def checkpointing() -> str:
    """transformers' name for computing layers anew instead of keeping what they gave: 5.17 had another one than
    5.23."""
    from transformers import PreTrainedModel

    new = "activation_checkpointing"
    return new if hasattr(PreTrainedModel, f"{new}_enable") else "gradient_checkpointing"


def load_lora(model: PreTrainedModel, folder: Path, *, trainable: bool = False, dropout: float = 0.0) -> PeftModel:
    """The model with the adapter of a folder.

    Args:
        dropout: As of LoraShape, for one that goes on learning.

    Raises:
        ModelError: peft is missing, the adapter is damaged, no plain LoRA, or has other shapes than the model.
    """
    peft = import_peft()
    adapted = attach(model, replace(read_shape(folder), dropout=dropout))
    own = peft.get_peft_model_state_dict(adapted)
    loaded = read_tensors(folder)
    for name in own.keys() | loaded.keys():
        wanted, found = (list(some[name].shape) if name in some else None for some in (own, loaded))
        if wanted != found:
            raise ModelError(
                _(
                    "The adapter {folder} doesn't fit the model: {name} has the shape {found}, not {wanted}.",
                    folder=folder,
                    name=name,
                    found=found,
                    wanted=wanted,
                ),
                _REMAKE,
            )
    peft.set_peft_model_state_dict(adapted, loaded)
    if not trainable:
        adapted.requires_grad_(False)
        adapted.eval()
    return adapted


def read_shape(folder: Path) -> LoraShape:
    """What the configuration of a folder says.

    Raises:
        ModelError: it is missing or damaged, or no plain LoRA.
    """
    path = folder / CONFIG
    config = read_config(path)
    if not config:
        raise ModelError(_("{folder} is no adapter: it has no {file}.", folder=folder, file=CONFIG), _REMAKE)
    if config.get("peft_type") != "LORA":
        raise damaged_field(path, "peft_type", config.get("peft_type"), _("Only LoRA adapters are read."))
    if config.get("bias", "none") != "none":
        raise damaged_field(path, "bias", config["bias"], _("Only plain LoRA adapters are read."))
    for key in _VARIANTS:
        if config.get(key):
            raise damaged_field(path, key, config[key], _("Only plain LoRA adapters are read."))
    rank, alpha, targets = config.get("r"), config.get("lora_alpha"), config.get("target_modules")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= _MOST_RANK:
        raise damaged_field(path, "r", rank, _REMAKE)
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not 0 < alpha < 1e6:
        raise damaged_field(path, "lora_alpha", alpha, _REMAKE)
    if not isinstance(targets, list) or not targets or not all(isinstance(one, str) for one in targets):
        raise damaged_field(path, "target_modules", targets, _REMAKE)
    return LoraShape(rank, float(alpha), tuple(sorted(targets)))


def read_tensors(folder: Path) -> dict[str, Any]:
    """The tensors of a folder by name, checked to be numbers.

    Raises:
        ModelError: they are missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from kb_assistant.chatglm2.weights import finite

    path = folder / WEIGHTS
    if not path.is_file():
        raise ModelError(_("{folder} is no adapter: it has no {file}.", folder=folder, file=WEIGHTS), _REMAKE)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(_("{path} is damaged: {reason}.", path=path, reason=error), _REMAKE) from error
    return {name: finite(name, tensor) for name, tensor in tensors.items()}


def set_strength(model: PeftModel, shape: LoraShape, strength: float) -> None:
    """Weigh the adapter of a model: 1 as it was trained, 0 the base alone."""
    from peft.tuners.lora import LoraLayer

    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.scaling = dict.fromkeys(module.scaling, shape.scale * strength)


def translated(names: Sequence[str], heads: Sequence[str] = TARGETS) -> tuple[str, ...]:
    """Names of linear layers as people give them, in a network's terms: ChatGLM2's own names are known, too.

    Args:
        heads: The network's linear layers.

    Raises:
        ModelError: there is no such layer.
    """
    known = {name: (name,) for name in heads} | {"all": tuple(heads), "all-linear": tuple(heads)} | _OFFICIAL
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ModelError(
            _("There is no linear layer {name!r}.", name=unknown[0] if unknown else ""),
            _("There are: {names}.", names=", ".join(known)),
        )
    wanted = {one for name in names for one in known[name]}
    return tuple(name for name in heads if name in wanted)


_OFFICIAL = {
    "query_key_value": ("q_proj", "k_proj", "v_proj"),
    "dense": ("o_proj",),
    "dense_h_to_4h": ("gate_up_proj", "gate_proj", "up_proj"),
    "dense_4h_to_h": ("down_proj",),
}


def _config(shape: LoraShape) -> LoraConfig:
    peft = import_peft()
    from peft.tuners.lora.layer import Linear

    from kb_assistant.chatglm2.int4 import Int4Linear

    config: LoraConfig = peft.LoraConfig(
        r=shape.rank,
        lora_alpha=shape.alpha,  # a float is kept
        target_modules=list(shape.targets),
        lora_dropout=shape.dropout,
        task_type="CAUSAL_LM",
    )
    config._register_custom_module({Int4Linear: Linear})
    return config


def import_peft() -> Any:
    """The module peft.

    Raises:
        ModelError: it isn't installed.
    """
    import_torch()
    try:
        import peft
    except ImportError as error:
        raise ModelError(_("Package peft is missing."), _('pip install "kb-assistant[train]"')) from error
    return peft
