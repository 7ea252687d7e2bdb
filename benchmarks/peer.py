"""The usual LangChain pipeline, timed by itself: read files as text, split, embed, put into FAISS.

Started by `ingest_speed.py` with one JSON object on standard input: `model` (folder), `dtype`, `prompt`,
`threads`, either `texts` (embedded as they are) or `files`, and where to keep the `vectors`, if anywhere. Prints
seconds, processor time and chunks. Loading the model is not timed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    order: dict[str, Any] = json.load(sys.stdin)
    import torch
    from langchain_community.vectorstores import FAISS  # type: ignore[import-not-found]
    from langchain_core.documents import Document
    from langchain_huggingface import HuggingFaceEmbeddings  # type: ignore[import-not-found]
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    if order["threads"]:
        torch.set_num_threads(order["threads"])
    embeddings = HuggingFaceEmbeddings(
        model_name=order["model"],
        model_kwargs={"device": "cpu", "local_files_only": True, "model_kwargs": {"dtype": order["dtype"]}},
        encode_kwargs={"normalize_embeddings": True, "prompt": order["prompt"]},
    )
    embeddings.embed_documents(["warm"])
    started, cpu = time.perf_counter(), time.process_time()
    if "files" in order:
        loaded = [
            Document(Path(file).read_text(encoding="utf-8", errors="replace"), metadata={"source": file})
            for file in order["files"]
        ]
        documents = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200).split_documents(loaded)
    else:
        documents = [Document(text) for text in order["texts"]]
    store = FAISS.from_documents(documents, embeddings)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    if order.get("vectors"):
        import numpy as np

        np.save(order["vectors"], store.index.reconstruct_n(0, store.index.ntotal))
    print(json.dumps({"seconds": seconds, "cpu": cpu, "chunks": len(documents)}))


if __name__ == "__main__":
    main()
