"""Environments that make the libraries compute as on another processor.

As a program it prints one for `env`: `env $(python tests/processors.py) python -m pytest tests/embedding`.
"""

from __future__ import annotations

AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "FAISS_OPT_LEVEL": "avx2",
}
"""Neither AVX-512 nor bfloat16 nor AMX, for torch's own kernels, oneDNN, MKL, NumPy's OpenBLAS and FAISS. ONNX
Runtime and llama.cpp take what the processor has; nothing tells them otherwise."""

if __name__ == "__main__":
    print(*(f"{name}={value}" for name, value in AVX2.items()))
