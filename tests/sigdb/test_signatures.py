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
    ("symbol.csv", '"","Gene Symbol","weight"\n"1","G1",2\n"2","G2",3\n', [("symbol", ("G1", "G2"), (2, 3))]),
    ("gaps.csv", "gene,weight,about,,\nG1,1,x,,\nG2,2,,,\nG3,3,,,\n", [("gaps", ("G1", "G2", "G3"), (1, 2, 3))]),
    ("pandas.csv", "Unnamed: 0,gene\n0,G1\n1,G2\n", [("pandas", ("G1", "G2"), (1, 1))]),
    ("both.csv", "gene_id,symbol\nENSG01,G1\nENSG02,G2\n", [("both", ("G1", "G2"), (1, 1))]),
    ("p.csv", "gene,weight,p_value\nG1,2,0.1\nG2,-1,NA\n", [("p", ("G1", "G2"), (2, -1))]),
    ("lines.csv", 'gene,note\nG1,"two\nlines"\nG2,\u2028\n', [("lines", ("G1", "G2"), (1, 1))]),
    ("quotes.txt", "'G1'\n\"G2\"\n", [("quotes", ("G1", "G2"), (1, 1))]),
    ("quotes.gmt", '"A"\t"d"\t"G1"\t"G2,2"\t\'G3\'\r\n', [("A", ("G1", "G2", "G3"), (1, 2, 1))]),
    ("odd.gmt", "A\tx\u2028y\x0bz\tG1\tG1,1.0\n", [("A", ("G1",), (1,))]),
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
    ("a.csv", "name,weight\nG1,1\n", "needs a header with the column gene .*first line is name, weight"),
    ("a.csv", "gene,coefficient,p\nG1,1,.1\nG2,,NA\n", "columns of numbers: coefficient, p. If .*coefficient'`. For"),
    ("a.csv", "gene,cluster\nG1,T\nG2,B\nG3,B\n", "the column cluster has 2 values, such as B, T. If they name sev"),
    ("a.csv", "gene,weight,cluster\nG1,1,T\nG2,1,B\nG3,2,B\n", "the column cluster has 2 values"),
    ("a.csv", "gene,weight,Weight\nG1,1,2\n", "more than one column has the name weight"),
    ("a.csv", "gene,weight\nG1,1,2\n", "fewer or more columns than the header in 1 of 2 lines: line 2"),
    ("a.csv", 'gene\n"G1\nG2\n', "names cannot be genes"),
    ("a.csv", "gene,note\nG1," + "x" * 200_000 + "\n", "not a table of text: field larger"),
    ("a.gmt", "A\t\tG1,1\tG2\tG1,2\n", "line 1: G1 has more than one weight: 1 and 2"),
    ("a.gmt", 'A\t\t"G1\n', "names cannot be genes"),
    ("a.gmt", "A\t\tG1\t2.5\tG2\t1e-3\t-0.1\n", "2 of 5 names cannot be genes: '2.5', '-0.1'"),
    ("a.csv", "gene,weight\nG1,x\n", "a weight is not a number"),
    ("a.csv", "gene,weight\nG1,nan\n", "not a finite number for G1"),
    ("a.csv", "gene,weight\nG1,inf\n", "not a finite number for G1"),
    ("a.csv", "gene,weight\nG1\n", "fewer or more columns than the header in 1 of 2 lines: line 2"),
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
    with pytest.raises(SignatureError, match=r"names its signatures and weights itself\. Leave out `name='x'`"):
        read_signatures(tmp_path / "c.gmt", name="x")


def test_the_column_of_weights_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("gene,logFC,p\nG1,2,0.1\nG2,-1,0.2\n")
    (named,) = read_signatures(tmp_path / "a.csv", weight_column="logfc")
    assert named.weights == (2, -1)
    (equal,) = read_signatures(tmp_path / "a.csv", weight_column="")
    assert equal.weights == (1, 1)
    with pytest.raises(SignatureError, match=r"has no column logfd\. Did you mean 'logfc'"):
        read_signatures(tmp_path / "a.csv", weight_column="logfd")
    (tmp_path / "b.csv").write_text("gene,weight\nG1,2\n")
    (equal,) = read_signatures(tmp_path / "b.csv", weight_column="")
    assert equal.weights == (1,)
    (tmp_path / "c.gmt").write_text("A\t\tG1\n")
    with pytest.raises(SignatureError, match="Leave out `weight_column=''`"):
        read_signatures(tmp_path / "c.gmt", weight_column="")


def test_signature_checks():
    with pytest.raises(SignatureError, match="has 1 weight for 2 genes"):
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
