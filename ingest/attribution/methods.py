"""Attribution: how much each gene contributes to where the model places a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from captum.attr import IntegratedGradients
from scipy.sparse import csr_matrix, vstack

from ingest.attribution.deeplift import multipliers as deeplift_multipliers
from ingest.models.core import FeedForward
from sigdb.errors import MethodError, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from ingest.models.core import CellModel, Entry

__all__ = [
    "METHODS",
    "QUADRATURES",
    "SUMMATIONS",
    "TARGET_SUM",
    "Attributions",
    "Method",
    "attribute",
    "concatenate",
    "scale",
]

TARGET_SUM = 1000.0
METHODS = ("ig", "ixg", "deeplift")
SUMMATIONS = ("published", "dot")
# Those of Captum but for riemann_trapezoid, whose weights add up to (n - 1) / n in Captum 0.9.
QUADRATURES = ("gausslegendre", "riemann_left", "riemann_right", "riemann_middle")
# Points that go through the network at a time: enough for the matrix products, few enough for the cache.
POINTS = {"cpu": 2048, "cuda": 65_536, "mps": 16_384}
# A gradient at the cell that is this much smaller than what it should explain is rounding error.
DEGENERATE = 1e-4


@dataclass(frozen=True)
class Method:
    """How a cell is explained.

    name: `ig` Integrated Gradients, `ixg` Input x Gradient, `deeplift` DeepLIFT with the Rescale rule. summation: the
    scalar that is explained, `published`: f(x') = sum_d |e_d(x) e_d(x')| of the embedding e as the model returns it, or
    `dot`: sum_d z_d(x) z_d(x') of the embedding z before it is normalised; by default published for ig, dot otherwise.
    n_steps, quadrature: of the integral of ig.
    """

    name: str = "ig"
    summation: str | None = None
    n_steps: int = 50
    quadrature: str = "gausslegendre"

    def __post_init__(self) -> None:
        """Check the words, and fill in the default summation."""
        for word, known in (
            (self.name, METHODS),
            (self.quadrature, QUADRATURES),
            (self.summation, (None, *SUMMATIONS)),
        ):
            if word not in known:
                raise MethodError(f"There is no {word!r}; there are {', '.join(filter(None, known))}.")
        if self.n_steps < 1:
            raise MethodError(f"Integrated Gradients need at least 1 step, not {self.n_steps}.")
        object.__setattr__(self, "summation", self.summation or ("published" if self.name == "ig" else "dot"))

    @property
    def is_local(self) -> bool:
        """Whether the gradient at the cell itself is what counts."""
        return self.name == "ixg"

    def check(self, model: CellModel, *, has_baseline: bool = False) -> None:
        """Raise MethodError, with the reason, if the method would give wrong numbers for the model."""
        if reason := model.unsupported.get(self.name):
            raise MethodError(f"{self.name} cannot explain model {model.name}: {reason}. Use ig.")
        if self.name != "ig" and self.summation == "published" and model.l2_normalised:
            raise MethodError(
                f"{self.name} of the published summation explains nothing for model {model.name}: its embedding has "
                "unit length, so the summed embedding has its maximum at the cell itself, and its gradient there is 0. "
                "Use --summation dot, or --method ig."
            )
        if has_baseline and self.is_local:
            raise MethodError(
                "ixg is the gradient at the cell times its input; it has no baseline. Use ig or deeplift."
            )


@dataclass(frozen=True)
class Attributions:
    """Signed, unscaled attributions of n cells.

    values: (n, n_genes) CSR, stored where input and baseline differ. delta: (n,) sum of a cell's attributions minus
    f(cell) - f(baseline); 0 for DeepLIFT, and for Integrated Gradients if the integral were exact.
    """

    values: csr_matrix
    delta: NDArray[np.float32]


class Scalar:
    """The function of a point that is explained for each cell of a batch, its own embedding held constant.

    reference: (n, latent_dim), that embedding. at_cells: (n,) the function at the cells; explained: (n,) the same minus
    that at the baseline.
    """

    def __init__(self, model: CellModel, entry: Entry, summation: str) -> None:
        self.is_dot = summation == "dot"
        self.tail = entry.tail
        self.finish = (lambda z: z) if self.is_dot else model.finish
        with torch.no_grad():
            z = self.tail(entry.point)
            self.reference = self.finish(z)
            origin = self.tail(entry.baseline).expand_as(z)
            self.explained = (self.of_embedding(z) - self.of_embedding(origin)).cpu().numpy()
            self.at_cells = self.of_embedding(z).cpu().numpy()

    def of_embedding(self, z: Tensor) -> Tensor:
        """The scalar, from embeddings before normalisation of one or several copies of the batch: (m,)."""
        terms = self.finish(z).unflatten(0, (-1, len(self.reference))) * self.reference
        total: Tensor = (terms if self.is_dot else terms.abs()).sum(dim=-1)
        return total.flatten()

    def __call__(self, points: Tensor) -> Tensor:
        """The scalar at points shaped as the entry's, one or several copies of the batch: (m,)."""
        return self.of_embedding(self.tail(points))


def attribute(
    model: CellModel, x: csr_matrix, method: Method | None = None, baseline: csr_matrix | None = None
) -> Attributions:
    """Attributions of one batch.

    x: (n_cells, n_genes) float32, as `model.prepare` returns it. baseline: (1, n_genes), prepared; None for a cell
    without expression. Exact with regard to the first layer: multipliers are computed behind it and pulled back through
    it, so that a gene's attribution is (x - baseline) * multiplier. Raises MethodError if the method does not suit the
    model, or if a gradient is nothing but rounding error; ModelError if an attribution is not finite.
    """
    method = method or Method()
    method.check(model, has_baseline=baseline is not None)
    entry = model.enter(x, baseline)
    f = Scalar(model, entry, str(method.summation))
    if method.name == "deeplift":
        if not isinstance(model, FeedForward):
            raise MethodError(f"deeplift needs a chain of layers; model {model.name} is none.")
        found = deeplift_multipliers(model.tail, entry.point, entry.baseline, f.reference, is_dot=f.is_dot)
    elif method.name == "ixg":
        found = gradient(f, entry.point)
    else:
        found = mean_gradient(f, entry, method)
    values = entry.pull_back(found)
    if not np.isfinite(values.data).all():
        raise ModelError(f"Model {model.name} gives attributions that are NaN or infinite. Nothing was stored.")
    if method.is_local:
        refuse_rounding_error(values, f.at_cells, model)
    total = np.asarray(values.sum(axis=1, dtype=np.float64)).ravel()
    return Attributions(values, (total - f.explained).astype(np.float32))


def gradient(f: Scalar, points: Tensor) -> Tensor:
    """The gradient of f at points."""
    points = points.detach().requires_grad_()
    (found,) = torch.autograd.grad(f(points).sum(), points)
    return found


def mean_gradient(f: Scalar, entry: Entry, method: Method) -> Tensor:
    """The mean of the gradients of f on the straight way from the baseline to each point, by Captum."""
    integral = IntegratedGradients(f, multiply_by_inputs=False)
    found: Tensor = integral.attribute(
        entry.point,
        baselines=entry.baseline,
        n_steps=method.n_steps,
        method=method.quadrature,
        # All copies of the batch that it makes at a time, one a step.
        internal_batch_size=max(len(entry.point), POINTS[entry.point.device.type]),
    )
    return found.detach()


def refuse_rounding_error(values: csr_matrix, explained: NDArray[np.float32], model: CellModel) -> None:
    """Raise MethodError if the gradients of some cells are too small to be anything but rounding error."""
    totals = np.asarray(abs(values).sum(axis=1, dtype=np.float64)).ravel()
    degenerate = int(((totals < DEGENERATE * np.abs(explained)) & (np.diff(values.indptr) > 0)).sum())
    if degenerate:
        raise MethodError(
            f"Degenerate local gradient in {degenerate} of {len(totals)} cells: input x gradient adds up to less than "
            f"{DEGENERATE:g} of what it explains, so it is rounding error. Model {model.name} needs --method ig."
        )


def concatenate(batches: Sequence[Attributions]) -> Attributions:
    """The attributions of several batches of cells, in order."""
    values = csr_matrix(vstack([batch.values for batch in batches], format="csr"))
    return Attributions(values, np.concatenate([batch.delta for batch in batches]))


def scale(attributions: Attributions) -> tuple[csr_matrix, NDArray[np.float32]]:
    """Scale each cell's attributions to a sum of absolute values of 1000.

    Returns the scores (n, n_genes), exact zeros dropped, and the scale (n,): attribution = score x scale. The scale is
    NaN, and the row empty, for a cell to which nothing was attributed.
    """
    values = attributions.values.copy()
    totals = np.asarray(abs(values).sum(axis=1, dtype=np.float64)).ravel()
    factors = np.divide(TARGET_SUM, totals, out=np.zeros_like(totals), where=totals > 0)
    values.data = (values.data * np.repeat(factors, np.diff(values.indptr))).astype(np.float32)
    values.eliminate_zeros()
    return values, np.where(totals > 0, totals / TARGET_SUM, np.nan).astype(np.float32)
