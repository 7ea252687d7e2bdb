"""Encoders with random weights, in sentence-transformers' layout."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from kb_assistant.model_folder import Model


def random_encoder(folder: Path, e5: Model, kind: str, pooling: dict[str, Any], **config: Any) -> Model:
    """An encoder of this kind and pooling in a new folder, with e5's tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(1)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40}
    sizes["max_position_embeddings"] = 140
    made = AutoConfig.for_model(kind, vocab_size=250_037, pad_token_id=1, **sizes | config)
    AutoModel.from_config(made).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "modules.json", "2_Normalize"):
        source = e5.path / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 24} | pooling))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 128, "do_lower_case": false}')
    return replace(e5, path=folder, query_prefix="ask: ", context_tokens=128)
