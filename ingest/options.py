"""The names that options of ingest take, each with what it means."""

from __future__ import annotations

__all__ = ["ARCHITECTURES", "IF_EXISTS", "METHODS", "PRECISIONS", "QUADRATURES", "SUMMATIONS"]

METHODS = {
    "ig": "Integrated Gradients",
    "ixg": "Input x Gradient",
    "deeplift": "DeepLIFT with the Rescale rule",
}
SUMMATIONS = {
    "published": "the sum of |e(x) e(x')| over the dimensions of the model's embedding e",
    "dot": "the dot product of the embeddings before they are normalised",
}
QUADRATURES = {
    "gausslegendre": "Gauss-Legendre quadrature",
    "riemann_left": "left Riemann sum",
    "riemann_right": "right Riemann sum",
    "riemann_middle": "midpoint Riemann sum",
}
PRECISIONS = {
    "float32": "single precision",
    "tf32": "TensorFloat-32, on CUDA GPUs only",
    "bf16": "bfloat16",
}
ARCHITECTURES = {
    "mlp": "a generic MLP: model.json and model.safetensors",
    "scimilarity": "SCimilarity",
    "scvi": "scVI",
    "ssl": "the self-supervised model SSL",
}
IF_EXISTS = {
    "error": "refuse the new study",
    "skip": "keep the old study",
    "replace": "replace the old study by the new one",
}
