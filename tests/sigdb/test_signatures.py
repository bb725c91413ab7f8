"""Signature files: GMT, CSV, TSV and plain lists, and the files that are refused."""

from __future__ import annotations

from importlib.resources import files

import pytest

from sigdb import Signature, read_signatures
from sigdb.errors import SignatureError

READ = [
    # file name, text, expected (name, genes, weights)
    ("a.gmt", "A\thttp://x\tG1\tG2\tG1\t\n\nB\t\tG3\n", [("A", ("G1", "G2"), (1, 1)), ("B", ("G3",), (1,))]),
    ("enrichr.gmt", "A\t\tG1,0.5\tG2,1.0\n", [("A", ("G1", "G2"), (0.5, 1))]),
    ("blank.txt", "G1\n \nG2\n", [("blank", ("G1", "G2"), (1, 1))]),
    ("list.txt", "G1\n\nG2\n", [("list", ("G1", "G2"), (1, 1))]),
    ("bom.csv", "\ufeffgene\nG1\n", [("bom", ("G1",), (1,))]),
    ("w.csv", "Gene,Weight\nG1,0.5\n G2 ,-2e-1\n", [("w", ("G1", "G2"), (0.5, -0.2))]),
    ("w.tsv", "note\tweight\tgene\nx\t1\tG1\n", [("w", ("G1",), (1,))]),
    ("quoted.csv", 'gene,note\n"G1","a, b"\n', [("quoted", ("G1",), (1,))]),
]


@pytest.mark.parametrize(("name", "text", "expected"), READ, ids=[name for name, *_ in READ])
def test_files_that_can_be_read(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = read_signatures(tmp_path / name)
    assert [(each.name, each.genes, each.weights) for each in found] == expected
    assert {each.source for each in found} == {name}


REFUSED = [
    ("a.gmt", "A\tonly\n", r"line 1: a line of a GMT file has"),
    ("a.gmt", "\n", "contains no signature"),
    ("a.gmt", "A\t\tG1\nA\t\tG2\n", "more than one signature with the name A"),
    ("a.gmt", "A\t\tG1,x\n", "line 1: 'G1,x' is neither a gene nor gene,weight"),
    ("a.txt", "LYZ,1.0\n", "1 of 1 names cannot be genes: 'LYZ,1.0'"),
    ("a.txt", "LYZ CD14\n", "names cannot be genes: 'LYZ CD14'"),
    ("semi.csv", "gene;weight\nLYZ;1\n", "2 of 2 names cannot be genes: 'gene;weight'"),
    ("a.txt", "LY\x00Z\n", "names cannot be genes"),
    ("a.csv", "", "has no genes"),
    ("a.csv", "gene,weight\n", "has no genes"),
    ("a.csv", "symbol,weight\nG1,1\n", "needs a header with the column gene .*first line is symbol, weight"),
    ("a.csv", "gene,weight\nG1,x\n", "a weight is not a number"),
    ("a.csv", "gene,weight\nG1,nan\n", "not a finite number for G1"),
    ("a.csv", "gene,weight\nG1,inf\n", "not a finite number for G1"),
    ("a.csv", "gene,weight\nG1\n", "fewer columns than the header in 1 of 2 lines: line 2"),
    ("a.txt", "G1\nG2\nG1\n", "names G1 more than once"),
]


@pytest.mark.parametrize(("name", "text", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_files_that_are_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(SignatureError, match=message):
        read_signatures(tmp_path / name)


def test_binary_and_missing_files(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SignatureError, match="not a text file in UTF-8"):
        read_signatures(tmp_path / "a.txt")
    with pytest.raises(SignatureError, match="There is no file"):
        read_signatures(tmp_path / "b.txt")
    (tmp_path / "c.gmt").write_text("A\t\tG1\n")
    with pytest.raises(SignatureError, match="names its signatures itself"):
        read_signatures(tmp_path / "c.gmt", name="x")


def test_signature_checks():
    with pytest.raises(SignatureError, match="has 1 weights for 2 genes"):
        Signature("A", ("G1", "G2"), (1.0,))
    with pytest.raises(SignatureError, match="needs a name"):
        Signature(" ", ("G1",))


def test_the_bundled_library():
    data = files("sigdb") / "data"
    hallmark = read_signatures(data / "h.all.v7.5.1.symbols.gmt")
    assert len(hallmark) == 50
    assert sum(len(each.genes) for each in hallmark) == 7321
    (ms1,) = read_signatures(data / "ms1.txt", name="MS1")
    assert (len(ms1.genes), ms1.genes[:3]) == (99, ("S100A8", "S100A12", "RETN"))
