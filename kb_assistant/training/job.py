"""What a training is made of, and whether one that was broken off is made of the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb_assistant.chatglm2.lora import CONFIG, WEIGHTS, read_shape
from kb_assistant.errors import ModelError, SettingsError
from kb_assistant.messages import _
from kb_assistant.model_folder import Model
from kb_assistant.models.adapters import Adapter
from kb_assistant.small_file import write_whole
from kb_assistant.torch_runtime import Device
from kb_assistant.training import checkpoints
from kb_assistant.training.encode import Example
from kb_assistant.training.network import network_of, targets
from kb_assistant.training.recipe import Recipe

_RUN = "run.json"


@dataclass(frozen=True, slots=True)
class Job:
    """What a training is made of.

    Attributes:
        name: Of the adapter.
        base: The model: a folder of ChatGLM2, or a GGUF file of a Llama.
        train: What is learned.
        validation: What is measured meanwhile; none for no early end.
        data_sha256: Fingerprint of both.
        style: How questions became prompts.
        start: An adapter that it begins with; None for a new one.
        fsdp: Share the model out between the processes of torchrun.
        data: Where the data lies; "" if nowhere.
        learned: Keys of the questions of both, and of those that `start` has learned; see duplicates.py.
    """

    name: str
    base: Model
    train: Sequence[Example]
    validation: Sequence[Example]
    data_sha256: str
    recipe: Recipe
    style: str
    device: Device
    start: Adapter | None = None
    fsdp: bool = False
    data: str = ""
    learned: Collection[str] = ()

    def made_of(self) -> dict[str, Any]:
        """What must stay the same for a training to go on."""
        return {
            "base": self.base.base_sha256,
            "data": self.data_sha256,
            "prompts": _digest((*self.train, *self.validation)),
            "start": self.start.sha256 if self.start else "",
            **self.recipe.to_json(),
        }

    def require_start(self) -> None:
        """Check that the adapter that it begins with is whole, and of the recipe's shape.

        Raises:
            ModelError: it is damaged, or no LoRA.
            SettingsError: it has another shape.
        """
        if not self.start:
            return
        self.start.require("lora", "prefix")
        if self.start.method == "prefix":
            raise ModelError(
                _("{name!r} is P-Tuning v2, which isn't trained here.", name=self.start.name),
                _("Begin with an adapter of: kb train list"),
            )
        for file in (CONFIG, WEIGHTS):
            self.start.path(file)
        shape, network, recipe = read_shape(self.start.folder), network_of(self.base), self.recipe
        wanted = {"rank": recipe.rank, "alpha": recipe.alpha, "targets": targets(network, recipe.targets)}
        found = {"rank": shape.rank, "alpha": shape.alpha, "targets": targets(network, shape.targets)}
        if other := {name: value for name, value in found.items() if value != wanted[name]}:
            raise SettingsError(
                _(
                    "The adapter {name!r} has another shape than the recipe: {found}, not {wanted}.",
                    name=self.start.name,
                    found=_shown(other),
                    wanted=_shown({name: wanted[name] for name in other}),
                ),
                _("Set the same in the recipe, or by flags; or begin without --start."),
            )


def begin(run: Path, name: str, made_of: dict[str, Any]) -> Path | None:
    """Look at what an earlier run has left, or begin; the checkpoint from which it goes on.

    Args:
        made_of: What must stay the same.

    Raises:
        SettingsError: it was made of something else, or nothing says of what.
    """
    try:
        before = json.loads((run / _RUN).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        before = None
    if not isinstance(before, dict):
        if any(run.glob("checkpoint-*")):
            raise SettingsError(
                _(
                    "{path} is missing or damaged, which says what {name!r} is trained on.",
                    path=run / _RUN,
                    name=name,
                ),
                _("Begin anew: kb train rm {name}", name=name),
            )
        write_whole(run / _RUN, json.dumps(made_of, indent=2))
    elif changed := sorted(key for key in before if made_of.get(key) != before[key]):
        raise SettingsError(
            _(
                "The training of {name!r} was begun with other {changed}.",
                name=name,
                changed=", ".join(changed),
            ),
            _("Go on with the same, or begin anew: kb train rm {name}", name=name),
        )
    return checkpoints.last_whole(run)


def _digest(examples: Sequence[Example]) -> str:
    """A fingerprint of what is learned, token by token."""
    parts: Iterator[str] = (f"{one.prompt}:{','.join(map(str, one.ids))}\n" for one in examples)
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode())
    return found.hexdigest()


def _shown(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {'/'.join(value) if isinstance(value, tuple) else f'{value:g}'}" for name, value in values.items()
    )
