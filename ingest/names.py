"""Why the name of a column may not be the name of a human gene."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from sigdb.errors import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["describe_unknown"]

# Genes that HGNC does not name: Ensembl ids, LOC numbers of NCBI, and clones such as AL627309.1 and RP11-34P13.7.
UNNAMED = re.compile(
    r"ENSG\d{11}(\.\d+)?|LOC\d+|LINC\d+|[A-Z]{1,2}\d{5,6}\.\d+|(RP\d+|CT[A-D]|KB|GS\d|LA16c|XX\w*|LL\w*)-\S+|hsa-\S+|GeneID:\d+"
)
MONTH = r"(jan|feb|m(ar|är|rz)|apr|may|mai|jun|jul|aug|sept?|o[ck]t|nov|de[cz])[a-z]*"
ANTIBODY = (
    r".*(totalseq|hashtag|isotype|antibody).*|(ab|adt|hto|prot|cite)[-_.:].*|.*[-_.:](ab|adt|hto|prot)|hto[-_]?\d+"
)
# A pattern of the name, in small letters, and the reason.
SHAPES = {
    rf"(\d{{1,2}}[-./ ]+{MONTH}|{MONTH}[-./ ]+\d{{1,4}}|\d{{4}}[-/.]\d\d[-/.]\d\d.*|\d\d?[/.]\d\d?[/.]\d+)([-.]\d+)?"
    r"|[34]\d{4}(\.0)?|\d(\.\d+)?e\+\d+": "that a spreadsheet turned into dates or numbers",
    r"ercc-\d+|sirv\d+": "of spike-ins",
    r"(nan|none|na|<na>|null|)": "missing",
    ANTIBODY: "of antibodies or hashtags",
    r"ens(mus|rno)[gt]\d+.*": "of another species",
    r"ensg\d{11}.+": "with an ending after the Ensembl id",
    r"(enst|nm_|nr_|xm_)\d+.*": "of transcripts",
}


@cache
def human_names() -> tuple[frozenset[str], frozenset[str]]:
    """All names that HGNC has for human genes, and the same in small letters."""
    with (files("sigdb") / "data" / "hgnc_human.parquet").open("rb") as file:
        table = pq.read_table(file)
    names = [table[name].drop_null().to_pylist() for name in ("symbol", "ensembl_id")]
    names += [table[name].combine_chunks().flatten().to_pylist() for name in ("previous", "alias")]
    known = frozenset(name for part in names for name in part)
    return known, frozenset(name.lower() for name in known)


def describe_unknown(names: Sequence[str], n_columns: int) -> list[str]:
    """Return a note on the names that no human gene has, by likely reason, with examples; none if there are none."""
    known, _ = human_names()
    unknown = [name for name in names if name not in known and not UNNAMED.fullmatch(name)]
    found: dict[str, list[str]] = {}
    for name in unknown:
        found.setdefault(reason(name), []).append(name)
    if not found:
        return []
    largest_first = sorted(found.items(), key=lambda item: -len(item[1]))
    parts = [f"{len(each):,} {why} ({listed(map(repr, each), 3)})" for why, each in largest_first]
    return [f"{len(unknown):,} of {n_columns:,} columns have names that no human gene has: {'; '.join(parts)}"]


def reason(name: str) -> str:
    """Why a name may not be the name of a gene."""
    known, lowered = human_names()
    bare = name.strip(" \t\r\n'\"")
    ways = {
        "with dots, which R writes for dashes": [name.replace(".", "-")],
        "with spaces or quotes around them": [bare] if bare != name else [],
        "with a number that tells repeated names apart": [re.sub(r"[-._]\d+$", "", name)],
        "that join several names of a gene": re.split(r"[|_;:,/ ]+", bare),
    }
    if why := next((why for why, spellings in ways.items() if known.intersection(spellings)), ""):
        return why
    shapes = (why for shape, why in SHAPES.items() if re.fullmatch(shape, bare.lower()))
    other = "in other capitals than human genes" if bare.lower() in lowered else "for an unknown reason"
    return next(shapes, other)
