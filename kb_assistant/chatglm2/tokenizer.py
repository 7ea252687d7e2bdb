"""ChatGLM2's tokenizer, rebuilt from tokenizer.model as a fast one.

The file is a SentencePiece BPE model. A piece's score is minus its rank, so the merges follow from the pieces:
every way to split a piece into two other pieces, best piece first. Control tokens have ids beyond the pieces; text
that spells their names stays text.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kb_assistant.errors import ModelError
from kb_assistant.messages import _

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
PREFIX = ("[gMASK]", "sop")
_CONTROL = {
    2: ("[MASK]", "[gMASK]", "[sMASK]", "sop", "eop"),
    3: (
        *("[MASK]", "[gMASK]", "[sMASK]", "sop", "eop"),
        *("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"),
    ),
}


class Pieces:
    """The content of a SentencePiece file.

    Attributes:
        names: Piece of each id.
        scores: Score of each id; the higher, the earlier it is merged.
        kinds: "normal", "byte", "control", "unknown" or "unused" for each id.

    Raises:
        ModelError: the file is damaged or of another kind.
    """

    def __init__(self, file: Path) -> None:
        from sentencepiece import SentencePieceProcessor

        try:
            model = SentencePieceProcessor(model_file=str(file))
        except (OSError, RuntimeError) as error:
            raise ModelError(
                _("{path} is damaged, or no SentencePiece model.", path=file), _("Download it again.")
            ) from error
        ids = range(model.get_piece_size())
        self.names: list[str] = [model.id_to_piece(i) for i in ids]
        self.scores: list[float] = [model.get_score(i) for i in ids]
        self.kinds = [_kind(model, i) for i in ids]
        if self.names[:3] != [UNKNOWN, BEGIN, END] or "byte" not in self.kinds:
            raise ModelError(
                _("{path} isn't ChatGLM2's tokenizer.", path=file), _("Use the one of the model's own folder.")
            )

    def merges(self) -> list[tuple[str, str]]:
        """Pairs of pieces that merge, in merge order."""
        normal = {name: i for i, name in enumerate(self.names) if self.kinds[i] == "normal"}
        found = [
            (-self.scores[i], normal[left], normal[right], left, right)
            for name, i in normal.items()
            for cut in range(1, len(name))
            if (left := name[:cut]) in normal and (right := name[cut:]) in normal
        ]
        return [(left, right) for *_, left, right in sorted(found)]


def control_tokens(generation: int) -> tuple[str, ...]:
    """Names of the control tokens, whose ids follow the pieces."""
    return _CONTROL[generation]


def build_tokenizer(file: Path, generation: Literal[2, 3] = 2) -> Tokenizer:
    """The tokenizer of `file`. `encode` adds a prefix only if special tokens are requested.

    Raises:
        ModelError: see Pieces.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, normalizers, processors
    from tokenizers.models import BPE

    pieces = Pieces(file)
    tokenizer = Tokenizer(
        BPE(
            vocab={name: i for i, name in enumerate(pieces.names)},
            merges=pieces.merges(),
            unk_token=UNKNOWN,
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    names = (UNKNOWN, BEGIN, END, *control_tokens(generation))
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    prefix = [(name, tokenizer.token_to_id(name)) for name in PREFIX]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{' '.join(PREFIX)} $A", special_tokens=prefix
    )
    return _as_text(tokenizer)


def read_tokenizer(file: Path) -> Tokenizer:
    """A tokenizer made by `build_tokenizer` and saved as tokenizer.json.

    Raises:
        ModelError: the file is missing or damaged.
    """
    from tokenizers import Tokenizer

    try:
        return _as_text(Tokenizer.from_file(str(file)))
    except Exception as error:  # the library raises nothing more specific
        raise ModelError(
            _("{path} can't be read: {reason}.", path=file, reason=error), _("Add the model again.")
        ) from error


def _as_text(tokenizer: Tokenizer) -> Tokenizer:
    """Make the tokenizer read names of control tokens as text; a saved one loses this setting."""
    tokenizer.encode_special_tokens = True
    return tokenizer


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerFast:
    """The tokenizer of a ChatGLM2 folder for use with transformers; pads on the left with id 0.

    Encoding puts `[gMASK] sop` in front. Names of control tokens in the text stay text.

    Raises:
        ModelError: tokenizer.model is missing or damaged.
    """
    from transformers import PreTrainedTokenizerFast

    from kb_assistant.chatglm2.checkpoint import TOKENIZER, read_checkpoint

    checkpoint = read_checkpoint(Path(folder))
    options: dict[str, Any] = {
        "bos_token": BEGIN,
        "eos_token": END,
        "unk_token": UNKNOWN,
        "pad_token": UNKNOWN,
        "padding_side": "left",
        "model_max_length": checkpoint.context,
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask", "position_ids"],
    }
    tokenizer = build_tokenizer(checkpoint.folder / TOKENIZER, checkpoint.generation)
    make: Any = PreTrainedTokenizerFast  # without types
    fast: PreTrainedTokenizerFast = make(tokenizer_object=tokenizer, **options)
    return fast


def _kind(model: Any, i: int) -> str:
    for kind in ("byte", "control", "unknown", "unused"):
        if getattr(model, f"is_{kind}")(i):
            return kind
    return "normal"
