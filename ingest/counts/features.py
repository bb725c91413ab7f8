"""Which columns of a matrix are genes: what a file says of each column, its type and its genome."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sigdb.errors import CountsError, OptionError, listed, nearest

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["Features", "Genes", "choose_genes", "choose_genome"]

# Types of columns, in small letters and without signs. 10x Genomics says "Gene Expression", "Antibody Capture" and so
# on; others abbreviate.
GENE_TYPES = {"geneexpression", "gene", "genes", "gex", "rna", "mrna", "transcriptome", "expression"}
# These types of HGNC and NCBI are of genes, though they contain such a word: "gene with protein product".
OTHER_TYPES = re.compile(
    r"(?!genewithproteinproduct|guiderna|antigenreceptorgene).*(antibod|antigen|capture|crispr|guide|hashtag|multiplex|peak|protein(?!coding)|surface|spikein|atac|chromatin).*"
    r"|adts?|htos?|cmos?|abseq|prot|citeseq|totalseq|sampletags?|custom|s?grnas?|vdj[tb]?|tcr|bcr|ercc"
)
# Genes have biotypes, such as protein_coding, lncRNA and pseudogene.
BIOTYPES = re.compile(r".*(gene|rna|coding).*")
# A column of var with such a name, or with such a value, gives the types.
TYPE_NAMES = re.compile(
    r"(features?|gene)?(bio|library|capture)?(types?|class|kind)|modalit(y|ies)|assays?|omics?|spikein"
)
# A column with such a name may also say what the protein of a gene does, such as "cell surface receptor".
UNSURE_NAMES = re.compile(r".*(class|kind)")
TYPE_VALUES = re.compile(r"(Gene Expression|(Antibody|Multiplexing|CRISPR Guide|Antigen) Capture)")
SPIKE_IN = re.compile(r"ERCC-\d{5}")

# The genome before a gene, as Cell Ranger (GRCh38_LYZ, mm10___Lyz2), Seurat (GRCh38-LYZ) and others write it.
GENOME = re.compile(
    r"((?:GRC[a-z]\d+|(?:hg|mm|rn)\d+|T2T|human|mouse|rat)(?:-\d{4}-[A-Z](?=_))?)[_.-]+(?=[^_.-])", re.IGNORECASE
)
HUMAN = re.compile(r"GRCh|hg\d|T2T|human|Homo", re.IGNORECASE)


@dataclass(frozen=True)
class Features:
    """The columns of a matrix, as the file describes them; a type or genome that it does not say is ''."""

    names: NDArray[np.object_]
    types: NDArray[np.object_]
    genomes: NDArray[np.object_]

    @classmethod
    def of(cls, names: NDArray[np.object_], var: pd.DataFrame) -> Features:
        """Find the types and genomes of the columns in a table of them, such as var of AnnData."""
        types = np.full(len(names), "", object)
        genomes = types.copy()
        for column in var:
            kind, values = re.sub(r"\d+$", "", plain(str(column))), to_words(var[column])
            if kind in ("genome", "genomes"):
                genomes = np.where(genomes == "", values, genomes)
            elif says_types(kind, values):
                # If one column of var says that a feature is not a gene, it is not, even if another says so.
                types = np.where((types == "") | is_other(values), values, types)
        return cls(names, types, genomes)


@dataclass(frozen=True)
class Genes:
    """The genes among the columns of a matrix: which columns (default: all), their names, their genome, and notes."""

    columns: NDArray[np.intp] | None
    names: tuple[str, ...]
    genome: str | None
    notes: tuple[str, ...]


def choose_genes(path: Path, features: Features, genome: str | None, *, can_choose: bool = True) -> Genes:
    """Leave out the columns that are no genes, or of another genome, and say so in notes.

    genome: the genome that the user chose with `layer`. can_choose: False if `layer` names a matrix already. Raises
    CountsError if no column is a gene, and OptionError if a genome must be chosen, or does not exist.
    """
    names, genomes = split_genomes(features)
    types = np.where([bool(SPIKE_IN.fullmatch(name)) for name in names], "spike-in", features.types)
    is_gene = find_genes(names, types)
    n_left_out = int((~is_gene).sum())
    if n_left_out == len(names):
        raise CountsError(
            f"{path} has {len(names):,} columns, but none that is a gene: {counted(types)}. Name the file or matrix "
            "that holds the counts of genes."
        )
    notes, n_unstated = [], int((is_gene & (types == "")).sum())
    if n_left_out:
        kinds = counted(types[~is_gene])
        notes.append(f"{n_left_out:,} of {len(names):,} columns are not genes and are left out: {kinds}")
    if n_unstated and any(plain(word) in GENE_TYPES for word in set(types)):
        notes.append(f"{n_unstated:,} columns are taken as genes, though the file does not say what they are")
    there = sorted(set(genomes[is_gene]) - {""})
    if genome is not None or len({"human" if HUMAN.match(each) else each for each in there}) > 1:
        others = is_gene & (genomes != choose_genome(path, there, genome, can_choose=can_choose))
        is_gene &= ~others
        if others.any():
            notes.append(f"{others.sum():,} columns of other genomes are left out: {counted(genomes[others])}")
    columns = None if is_gene.all() else np.flatnonzero(is_gene)
    return Genes(columns, tuple(names[is_gene]), genome, tuple(notes))


def find_genes(names: NDArray[np.object_], types: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Which columns are genes.

    If the file calls some columns genes, all columns of unknown types are left out. A column without a type is a gene,
    unless a gene has its name: then it is the antibody of that gene, say.
    """
    other = is_other(types)
    is_called_gene = np.isin(types, [word for word in set(types) if plain(word) in GENE_TYPES])
    if is_called_gene.any():
        unknown = [word for word in set(types) if word and not BIOTYPES.fullmatch(plain(word))]
        other |= ~is_called_gene & np.isin(types, unknown)
        other |= (types == "") & np.isin(names.astype(str), names[is_called_gene].astype(str))
    return np.asarray(~other)


def choose_genome(path: Path, genomes: list[str], chosen: str | None, *, can_choose: bool = True) -> str:
    """The genome that the user chose, or the only one; OptionError if it does not exist, or there are several."""
    if chosen is not None and not genomes:
        raise OptionError(f"{path} has only one matrix and names no genomes: leave `layer={chosen!r}` out.")
    if chosen is not None and chosen not in genomes:
        raise OptionError(
            f"{path} has no genome {chosen!r} (`layer`).{nearest(chosen, genomes)} It has: {listed(genomes)}."
        )
    if chosen is None and len(genomes) > 1:
        way_out = (
            "Choose one with `layer`."
            if can_choose
            else "Leave `layer` out, which can then name one, or keep only the columns of one genome in the file."
        )
        raise OptionError(f"{path} has genes of {len(genomes)} genomes: {listed(genomes)}. {way_out}")
    return chosen or genomes[0]


def split_genomes(features: Features) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """The names without the genomes before them, and the genomes.

    A genome of the file's own (such as `GRCh38-2020-A`) is recognised before its genes. Others are recognised if they
    stand before most names.
    """
    names = features.names
    found = [GENOME.match(name) for name in names]
    if sum(match is not None for match in found) > len(names) / 2:
        prefixes = [match[1] if match else "" for match in found]
        bare = [name[match.end() :] if match else name for name, match in zip(names, found, strict=True)]
        return as_objects(bare), np.where(features.genomes == "", as_objects(prefixes), features.genomes)
    pairs = zip(names, features.genomes, strict=True)
    return as_objects([without_prefix(name, genome) for name, genome in pairs]), features.genomes


def without_prefix(name: str, genome: str) -> str:
    """A name without its genome, if it begins with it: Lyz2 for mm10___Lyz2."""
    return name.removeprefix(genome).lstrip("_-") if genome and name.startswith((f"{genome}_", f"{genome}-")) else name


def says_types(kind: str, values: NDArray[np.object_]) -> bool:
    """Whether a column of var, by its plain name and values, gives the types of features."""
    words = set(values)
    if TYPE_NAMES.fullmatch(kind) and not UNSURE_NAMES.fullmatch(kind):
        return any(plain(word) in GENE_TYPES or OTHER_TYPES.fullmatch(plain(word)) for word in words)
    if UNSURE_NAMES.fullmatch(kind):
        return any(plain(word) in GENE_TYPES for word in words)
    return any(TYPE_VALUES.fullmatch(word) for word in words)


def is_other(types: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Whether each type is known to be no gene."""
    return np.isin(types, [word for word in set(types) if OTHER_TYPES.fullmatch(plain(word))])


def plain(word: str) -> str:
    """A word in small letters and without signs, so that spellings are alike."""
    return re.sub(r"[^a-z0-9]", "", word.lower())


def to_words(values: pd.Series[object]) -> NDArray[np.object_]:
    """A column as text; '' where a value is missing, or the column is not text."""
    if values.dtype.kind != "O":
        return np.full(len(values), "", object)
    text = values.astype(object).where(values.notna(), "").astype(str).str.strip()
    return np.asarray(text.where(~text.str.lower().isin(["nan", "none", "na", "<na>"]), ""), dtype=object)


def as_objects(values: list[str]) -> NDArray[np.object_]:
    """Strings as an array of objects."""
    return np.array(values, dtype=object)


def counted(words: NDArray[np.object_]) -> str:
    """How often each type or genome occurs: '3 Antibody Capture, 2 of unknown kind'."""
    return listed(f"{n:,} {word or 'of unknown kind'}" for word, n in Counter(words).most_common())
