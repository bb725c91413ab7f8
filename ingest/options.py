"""The options of ingest: what to read, how to attribute and where to compute. Imports neither torch nor anndata.

The dictionaries list the words that an option takes, each with a one-line description. The command line reads them too.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sigdb.errors import DeviceError, MethodError, OptionError, SigdbError, UnreadableError, nearest, nearest_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "ARCHITECTURES",
    "IF_EXISTS",
    "METHODS",
    "PRECISIONS",
    "QUADRATURES",
    "SUMMATIONS",
    "Compute",
    "IfExists",
    "IngestOptions",
    "Method",
    "ReferenceCells",
    "Source",
    "check_choice",
    "check_exists",
    "study_name",
]

ARCHITECTURES = {
    "mlp": "a chain of layers in the generic MLP format",
    "scimilarity": "SCimilarity",
    "scvi": "scVI or scANVI",
    "ssl": "SSL-scTab",
    "scfoundation": "scFoundation",
    "scgpt": "scGPT",
    "geneformer": "Geneformer V1 or V2",
}
METHODS = {
    "ig": "Integrated Gradients",
    "ixg": "Input x Gradient",
    "deeplift": "DeepLIFT with the Rescale rule",
}
SUMMATIONS = {
    "published": "sum of |e(x) e(x')| of the model's embedding e",
    "dot": "dot product of the embeddings before they are normalised",
}
# Captum's rules without riemann_trapezoid, whose weights add up to (n - 1) / n in Captum 0.9.
QUADRATURES = {
    "gausslegendre": "Gauss-Legendre",
    "riemann_left": "Riemann sum, left end of each step",
    "riemann_right": "Riemann sum, right end of each step",
    "riemann_middle": "Riemann sum, middle of each step",
}
PRECISIONS = {
    "float32": "32-bit floating point",
    "tf32": "TensorFloat-32, on CUDA GPUs only",
    "bf16": "bfloat16",
}
IF_EXISTS = {
    "error": "refuse the study",
    "skip": "leave the stored study as it is",
    "replace": "replace the stored study",
}
IfExists = Literal["error", "skip", "replace"]

DEVICES = ("auto", "cpu", "cuda", "mps")
# Names that Cell Ranger gives to the results of every study.
CELL_RANGER = {
    "filtered_feature_bc_matrix",
    "raw_feature_bc_matrix",
    "sample_filtered_feature_bc_matrix",
    "outs",
    "count",
    "filtered_gene_bc_matrices",
    "filtered_gene_bc_matrices_h5",
    "raw_gene_bc_matrices",
    "raw_gene_bc_matrices_h5",
}


def check_choice(parameter: str, value: str, known: Sequence[str], error: type[SigdbError] = OptionError) -> None:
    """Raise an error with the nearest known word if a parameter has an unknown value."""
    if value not in known:
        hint = nearest(value, known)
        raise error(f"There is no {parameter} {value!r}.{hint} `{parameter}` is one of {', '.join(known)}.")


def check_exists(path: Path) -> None:
    """Raise UnreadableError, with the nearest name, if there is no file or folder at a path."""
    if not path.exists():
        raise UnreadableError(f"There is no file or folder {path}.{nearest_file(path)}")


@dataclass(frozen=True)
class Method:
    """How the embedding of a cell is explained.

    Parameters
    ----------
    name
        ``ig`` (Integrated Gradients), ``ixg`` (Input x Gradient) or ``deeplift`` (DeepLIFT with the Rescale rule).
    summation
        The scalar that is explained for a cell x, as a function of the input x'. ``published``:
        ``sum_d |e_d(x) e_d(x')|`` of the embedding e that the model returns. ``dot``: ``sum_d z_d(x) z_d(x')`` of the
        embedding z before it is normalised. Default: ``published`` for ``ig``, ``dot`` for the other methods.
    n_steps
        Number of integration steps of ``ig``.
    quadrature
        Integration rule of ``ig``: ``gausslegendre``, ``riemann_left``, ``riemann_right`` or ``riemann_middle``.

    Raises
    ------
    MethodError
        If a word is unknown, or `n_steps` is below 1.

    Examples
    --------
    >>> from ingest import Method
    >>> Method()
    Method(name='ig', summation='published', n_steps=50, quadrature='gausslegendre')
    >>> Method("ixg").summation
    'dot'
    """

    name: str = "ig"
    summation: str | None = None
    n_steps: int = 50
    quadrature: str = "gausslegendre"

    def __post_init__(self) -> None:
        """Check the words and fill in the default summation."""
        check_choice("method", self.name, tuple(METHODS), MethodError)
        check_choice("quadrature", self.quadrature, tuple(QUADRATURES), MethodError)
        if self.summation is None:
            object.__setattr__(self, "summation", "published" if self.name == "ig" else "dot")
        check_choice("summation", str(self.summation), tuple(SUMMATIONS), MethodError)
        if self.n_steps < 1:
            raise MethodError(f"`n_steps` must be at least 1, not {self.n_steps}.")

    @property
    def is_local(self) -> bool:
        """Whether the method uses only the gradient at the cell itself."""
        return self.name == "ixg"

    def check_baseline(self) -> None:
        """Raise MethodError if the method has no baseline."""
        if self.is_local:
            raise MethodError(
                "`method='ixg'` multiplies the gradient at the cell by its input and has no baseline. Use ig or "
                "deeplift, or leave the baseline out."
            )


@dataclass(frozen=True)
class Compute:
    """Where to compute, and how much at a time.

    Parameters
    ----------
    device
        ``cpu``, ``cuda``, ``cuda:N``, ``mps``, or ``auto``: a CUDA GPU if the machine has one, otherwise the CPU.
    precision
        Of the matrix products behind the first layer: ``float32``, ``tf32`` (CUDA only) or ``bf16``.
    batch_size
        Cells that are attributed at a time. Default: as many as fit into memory.
    workers
        Number of processes. With ``cuda``, they take turns at the GPUs of the machine.
    threads
        CPU threads of all workers together. Default: all cores.
    is_remote
        Whether other machines compute, each with the devices that it has.

    Raises
    ------
    DeviceError
        If a device or precision is unknown, the two do not go together, or a number is below 1.

    Examples
    --------
    >>> from ingest import Compute
    >>> Compute("cpu", workers=2, threads=8).threads_each
    4
    """

    device: str = "auto"
    precision: str = "float32"
    batch_size: int | None = None
    workers: int = 1
    threads: int | None = None
    is_remote: bool = False

    def __post_init__(self) -> None:
        """Check words and numbers. `ingest.attribution.device.find_device` checks that the machine has the device."""
        if self.kind not in DEVICES:
            raise DeviceError(f"There is no device {self.device!r}. `device` is auto, cpu, cuda, cuda:N or mps.")
        check_choice("precision", self.precision, tuple(PRECISIONS), DeviceError)
        if self.precision == "tf32" and self.kind not in ("cuda", "auto"):
            raise DeviceError(f"`precision='tf32'` is for CUDA GPUs. On {self.kind}, use float32 or bf16.")
        for name in ("batch_size", "workers", "threads"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise DeviceError(f"`{name}` must be at least 1, not {value}.")

    @property
    def kind(self) -> str:
        """The device without its number."""
        return self.device.split(":")[0]

    @property
    def threads_each(self) -> int:
        """CPU threads of one worker."""
        return max(1, (self.threads or os.cpu_count() or 1) // self.workers)

    def of_worker(self, number: int, n_gpus: int) -> Compute:
        """The share of worker `number`, from 0, of a machine with `n_gpus` GPUs; `cuda` means each GPU in turn."""
        device = f"cuda:{number % n_gpus}" if self.device == "cuda" else self.device
        return Compute(device, self.precision, self.batch_size, 1, self.threads_each)

    def of_task(self, gpus: Sequence[str], n_cpus: int) -> Compute:
        """The share of a task of a cluster that has the GPUs with these numbers, and `n_cpus` CPUs."""
        has_gpu = self.device in ("auto", "cuda") and gpus
        return Compute(f"cuda:{gpus[0]}" if has_gpu else self.device, self.precision, self.batch_size, 1, n_cpus)


@dataclass(frozen=True, eq=False)
class ReferenceCells:
    """Cells whose mean is the baseline, instead of a cell without expression.

    An atlas holds no counts, so these cells are read from their file.

    Parameters
    ----------
    path
        The file of the cells, in any format that can be ingested.
    condition
        A SQL condition on the columns that the view `cells` has of these cells, such as ``cell_type = 'T cell'``. The
        cells for which it is true are used.
    layer, mapping, obs
        As in `IngestOptions` and `Source`, for this file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from ingest import ReferenceCells
    >>> ReferenceCells(Path("pbmc.h5ad"), "cell_type = 'T cell'").path.name
    'pbmc.h5ad'
    """

    path: Path
    condition: str
    layer: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    obs: Path | None = None


@dataclass(frozen=True)
class Source:
    """A file of raw counts to ingest, and what the atlas records about its study.

    Parameters
    ----------
    path
        AnnData (``.h5ad`` or a zarr folder), MuData or SpatialData with AnnData in it, or the output of Cell Ranger
        (``.h5``, or a folder with ``matrix.mtx``).
    study
        Name of the study. Default: the name of the file.
    title, organism, source, licence
        What the atlas records about the study. `source` is an accession, a DOI or a citation.
    obs
        A table of cell metadata (``.csv``, ``.tsv``, ``.parquet``) to join by barcode.

    Examples
    --------
    >>> from pathlib import Path
    >>> from ingest import Source
    >>> Source(Path("data/pbmc.h5ad")).name
    'pbmc'
    >>> Source(Path("patient3/outs/filtered_feature_bc_matrix"), organism="Homo sapiens").name
    'patient3'
    """

    path: Path
    study: str = ""
    title: str | None = None
    organism: str | None = None
    source: str | None = None
    licence: str | None = None
    obs: Path | None = None

    @property
    def name(self) -> str:
        """The name of the study."""
        return self.study or study_name(self.path)


@dataclass(frozen=True)
class IngestOptions:
    """How to attribute the cells of studies, and what to take from their files.

    Parameters
    ----------
    method
        How a cell is explained. Default: Integrated Gradients with 50 steps.
    baseline
        `ReferenceCells` whose mean is the baseline. Default: a cell without expression.
    compute
        Device, precision, batch size and number of processes. Default: a GPU if there is one, in float32.
    max_error
        Refuse a study whose median integration error is above this share of a cell's summed |attribution|, such as
        0.05. For ``ig`` with two steps or more. Default: no limit.
    layer
        Matrix of raw counts: a name in ``layers``, ``X`` or ``raw``; or the genome, if there are several. In MuData and
        SpatialData, it follows the AnnData to read: ``mod/rna`` or ``mod/rna/counts``. Default: of
        ``layers['counts']``, ``raw`` and ``X``, the one with raw counts of the most genes.
    mapping
        Field of the atlas -> column of obs, such as ``{"disease": "condition"}``. An empty column name means that the
        study has no such field. Default: columns with the usual names.
    obsm
        Embeddings to keep, with their first two dimensions: ``X_umap`` becomes the columns umap_1 and umap_2.
    run
        Name of the run. Default: model and method.
    if_exists
        What to do with a study that the atlas has with this model and method: ``error``, ``skip`` or ``replace``.
    min_genes
        Fewest genes that study and model must share. Default: 500, or half of the genes of a smaller model.
    progress
        Called with the study, the number of cells done and the number of all cells, at the start and after each batch;
        with several workers, after each chunk of cells.

    Raises
    ------
    OptionError, MethodError
        If a value is impossible, or two options do not go together.

    Examples
    --------
    >>> from ingest import IngestOptions, Method
    >>> options = IngestOptions(Method(n_steps=20), mapping={"disease": "condition"}, if_exists="skip")
    >>> options.method.n_steps
    20
    """

    method: Method = field(default_factory=Method)
    baseline: ReferenceCells | None = None
    compute: Compute = field(default_factory=Compute)
    max_error: float | None = None
    layer: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    obsm: Sequence[str] = ()
    run: str | None = None
    if_exists: IfExists = "error"
    min_genes: int | None = None
    progress: Callable[[str, int, int], None] = lambda study, done, total: None

    def __post_init__(self) -> None:
        """Refuse impossible options before any file is read."""
        check_choice("if_exists", self.if_exists, tuple(IF_EXISTS))
        if self.min_genes is not None and self.min_genes < 1:
            raise OptionError(f"`min_genes` must be at least 1, not {self.min_genes}.")
        if self.max_error is not None:
            self.check_error_limit(self.max_error)
        if self.method.name == "deeplift" and self.compute.precision != "float32":
            raise MethodError("`method='deeplift'` computes in double precision: leave `precision` out.")
        if self.baseline is not None:
            self.method.check_baseline()

    def check_error_limit(self, limit: float) -> None:
        """Raise an error if the limit is not a share, or if the method has no estimate to compare with it."""
        if not limit >= 0:
            raise OptionError(f"`max_error` must be 0 or more, not {limit}.")
        if self.method.name != "ig":
            raise MethodError(f"`max_error` is for ig; `method={self.method.name!r}` integrates nothing.")
        if self.method.n_steps < 2:
            raise MethodError("`max_error` needs an estimate of the error, which takes `n_steps` of 2 or more.")


def study_name(path: Path) -> str:
    """The default name of a study: the name of its file, or of the nearest folder that Cell Ranger did not name."""
    path = path.absolute()
    names = [path.name.removesuffix(path.suffix if path.suffix in (".h5ad", ".h5mu", ".h5", ".zarr") else "")]
    names += [folder.name for folder in path.parents]
    return next((name for name in names if name and name not in CELL_RANGER), names[0])
