"""How a model is trained: every choice with its usual value, once. `kb train init` writes it as a TOML file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from kb_assistant.errors import SettingsError
from kb_assistant.messages import _
from kb_assistant.small_file import decode_text, write_whole

CHOICES = {
    "precision": ("auto", "int4", "nf4", "bf16", "fp16", "fp32"),
    "schedule": ("cosine", "linear", "constant"),
}

_AT_LEAST: Mapping[str, float] = {
    "rank": 1, "alpha": 0, "dropout": 0, "learning_rate": 0, "warmup": 0, "weight_decay": 0, "max_grad_norm": 0,
    "epochs": 0, "batch": 1, "accumulation": 1, "max_tokens": 16, "save_steps": 1, "patience": 0, "seed": 0,
}  # fmt: skip
_POSITIVE = frozenset({"alpha", "learning_rate", "max_grad_norm", "epochs"})
_BELOW_ONE = frozenset({"dropout", "warmup"})

TARGETS = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")
"""The matrices of each layer, by the names that ChatGLM2 gives them."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is trained. `ABOUT` says what each field is."""

    precision: str = "auto"
    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] = TARGETS
    learning_rate: float = 1e-4
    schedule: str = "cosine"
    warmup: float = 0.1
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    epochs: float = 3.0
    batch: int = 1
    accumulation: int = 8
    max_tokens: int = 1024
    checkpointing: bool = True
    save_steps: int = 50
    patience: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise _impossible(name, getattr(self, name), _("one of {choices}", choices=", ".join(choices)))
        for name, least in _AT_LEAST.items():
            value = getattr(self, name)
            if not least <= value < float("inf") or (name in _POSITIVE and not value):
                raise _impossible(name, value, _("a number from {least:g}", least=least))
            if name in _BELOW_ONE and value >= 1:
                raise _impossible(name, value, _("a share below 1"))
        if not self.targets or not all(isinstance(one, str) and one for one in self.targets):
            raise _impossible("targets", self.targets, _("a list of names of matrices"))

    @classmethod
    def read(cls, file: Path) -> Recipe:
        """The recipe in a TOML file; what it doesn't name has its usual value.

        Raises:
            SettingsError: it can't be read, or names what there isn't, or an impossible value.
        """
        try:
            return cls().with_values(tomllib.loads(decode_text(file.read_bytes())))
        except OSError as error:
            raise SettingsError(
                _("{path} can't be read: {reason}.", path=file, reason=error), _("kb train init writes one.")
            ) from error
        except (ValueError, RecursionError) as error:
            raise SettingsError(
                _("{path} isn't a recipe: {reason}.", path=file, reason=error), _("kb train init writes one.")
            ) from error

    def with_values(self, values: Mapping[str, Any]) -> Recipe:
        """This recipe with other values, of the types of TOML; a value of None changes nothing.

        Raises:
            SettingsError: there is no such field, or the value has another type or is impossible.
        """
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        changed: dict[str, Any] = {}
        for name, value in values.items():
            if name not in known:
                raise SettingsError(
                    _("A recipe has no {name!r}.", name=name), _("It has: {names}", names=", ".join(known))
                )
            if value is not None:
                changed[name] = _typed(name, value, known[name])
        return replace(self, **changed)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"targets": list(self.targets)}

    def to_toml(self) -> str:
        """The recipe as a file for people, each value with what it means."""
        parts = ["# How `kb train` trains. Whatever is left out has the value that stands here; flags win.\n"]
        for field in fields(self):
            about = "".join(f"# {line}\n" for line in ABOUT[field.name].splitlines())
            value = getattr(self, field.name)
            shown = json.dumps(list(value) if isinstance(value, tuple) else value)
            parts.append(f"{about}{field.name} = {shown}\n")
        return "\n".join(parts)

    def write(self, file: Path) -> None:
        """Write it as TOML.

        Raises:
            StoreError: it can't be written.
        """
        write_whole(file, self.to_toml())


ABOUT: Mapping[str, str] = {
    "precision": "How the base model is held while its adapter learns: int4, nf4, bf16, fp16 or fp32.\n"
    "auto: an INT4 folder as it is; others as nf4 on a GPU that has bitsandbytes, else bf16 or fp32.",
    "rank": "Rank of the adapter: how much it can learn. 8 for tone and form, 16 to 64 for more.",
    "alpha": "The update is scaled by alpha / rank; usually twice the rank.",
    "dropout": "Share of the adapter's inputs that is dropped while learning, from 0 to below 1.",
    "targets": "Matrices of each layer that get an adapter: all four learn best, query_key_value is smallest.",
    "learning_rate": "Largest step. Much more than 1e-3 can end in a loss that is no number.",
    "schedule": "How the learning rate falls after its rise: cosine, linear or constant.",
    "warmup": "Share of the steps in which the learning rate rises.",
    "weight_decay": "How much weights are drawn to zero.",
    "max_grad_norm": "Longer gradients are shortened to this length.",
    "epochs": "How often each example is seen. Small data sets are learnt by heart beyond 3 to 5.",
    "batch": "Examples that are computed together: takes memory.",
    "accumulation": "Batches that make one step: takes none.",
    "max_tokens": "Longest prompt and answer together. Longer examples are left out, never cut.",
    "checkpointing": "Compute activations again instead of keeping them: a third slower, far less memory.",
    "save_steps": "Steps between two checkpoints, and two measurements on the validation set.",
    "patience": "Measurements without a gain after which it stops; 0 never stops early.",
    "seed": "The same seed, data and recipe give the same adapter.",
}
"""What each field means."""


def _typed(name: str, value: Any, usual: Any) -> Any:
    """The value as the field has it; whole numbers may stand for fractions."""
    if isinstance(usual, tuple) and isinstance(value, list | tuple):
        return tuple(value)
    if isinstance(usual, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(usual):
        kinds = {bool: _("true or false"), int: _("a whole number"), float: _("a number"), str: _("a text")}
        raise _impossible(name, value, kinds.get(type(usual), _("a list of names of matrices")))
    return value


def _impossible(name: str, value: object, wanted: str) -> SettingsError:
    return SettingsError(
        _("{name} is {value}: it must be {wanted}.", name=name, value=repr(value)[:80], wanted=wanted),
        _("kb train init writes a file that says what each value means."),
    )
