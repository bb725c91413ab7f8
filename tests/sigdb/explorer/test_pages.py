"""`sigdb page`: what is written, what the page may reach, and what is refused."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sigdb
from sigdb.errors import AtlasError, MissingDependencyError, QueryError
from sigdb.explorer.pages import page_files, write_page, write_single_page
from tests.sigdb.cli.conftest import run


class Elements(HTMLParser):
    """The elements of a page, and the text of its scripts and styles."""

    def __init__(self, page):
        super().__init__()
        self.found, self.text = [], {}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        self.found.append((f"/{tag}", {}))

    def handle_data(self, text):
        if self.found and self.found[-1][0] in ("script", "style"):
            place = len(self.found) - 1
            self.text[place] = self.text.get(place, "") + text

    def of(self, tag):
        return [(attributes, self.text.get(n, "")) for n, (each, attributes) in enumerate(self.found) if each == tag]

    def policy(self):
        (content,) = [each["content"] for each, _ in self.of("meta") if each.get("http-equiv")]
        return {rule.split()[0]: rule.split()[1:] for rule in content.split(";")}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_holds_the_page_and_the_atlas(built, toy_path, tmp_path):
    done = write_page(tmp_path / "site", toy_path)
    assert set(contents(tmp_path / "site")) == {*page_files(), "config.json", f"{toy_path.stem}.duckdb"}
    config = json.loads((tmp_path / "site" / "config.json").read_text())
    assert (config["engine"], config["atlases"]) == ("wasm", [{"name": toy_path.stem, "url": done.atlases[0]}])
    with sigdb.connect(tmp_path / "site" / done.atlases[0]) as con:
        assert con.execute("SELECT count(*) > 0 FROM signature_score(['S100A8'])").fetchall() == [(True,)]
    assert Elements((tmp_path / "site" / "index.html").read_text()).policy()["connect-src"] == ["'self'"]


def test_a_folder_holds_several_atlases_in_their_order(built, toy_path, tmp_path):
    other = tmp_path / "an other.duckdb"
    shutil.copy(toy_path, other)
    done = write_page(tmp_path / "site", other, toy_path)
    config = json.loads((tmp_path / "site" / "config.json").read_text())
    assert config["atlases"] == [
        {"name": "an other", "url": "an%20other.duckdb"},
        {"name": toy_path.stem, "url": f"{toy_path.stem}.duckdb"},
    ]
    assert done.atlases == ("an%20other.duckdb", f"{toy_path.stem}.duckdb")
    assert (tmp_path / "site" / other.name).read_bytes() == other.read_bytes()


def test_atlases_of_one_name_are_refused_before_anything_is_written(built, toy_path, tmp_path):
    (tmp_path / "two").mkdir()
    other = tmp_path / "two" / toy_path.name.upper()
    shutil.copy(toy_path, other)
    for same in ((toy_path, other), (toy_path, toy_path)):
        with pytest.raises(QueryError, match=r"These atlases have one name.*Rename one"):
            write_page(tmp_path / "site", *same)
    with pytest.raises(AtlasError):  # the second one is not there
        write_page(tmp_path / "site", toy_path, tmp_path / "no.duckdb")
    assert not (tmp_path / "site").exists()


def test_a_page_is_updated(built, toy_path, tmp_path):
    write_page(tmp_path / "site", toy_path)
    (built / "app.js").write_text("new", encoding="utf-8")
    write_page(tmp_path / "site", url="https://data.example.org:8443/a%20b.duckdb?x=1&y=2")
    assert (tmp_path / "site" / "app.js").read_text() == "new"
    assert json.loads((tmp_path / "site" / "config.json").read_text())["atlases"] == [
        {"name": "a%20b", "url": "https://data.example.org:8443/a%20b.duckdb?x=1&y=2"}
    ]
    policy = Elements((tmp_path / "site" / "index.html").read_text()).policy()
    assert policy["connect-src"] == ["'self'", "https://data.example.org:8443"]
    assert policy["default-src"] == ["'none'"]


def test_one_file_runs_only_its_own_scripts(built, tmp_path):
    write_single_page(tmp_path / "one.html")
    page = Elements((tmp_path / "one.html").read_text(encoding="utf-8"))
    data = {each["id"]: text for each, text in page.of("script") if "id" in each}
    assert json.loads(data["catalog.json"]) == json.loads((built / "catalog.json").read_text())
    assert json.loads(data["config.json"])["atlases"] == []
    assert gzip.decompress(base64.b64decode(data["duckdb.wasm.gz"])) == b"\0asm"
    scripts = [text for each, text in page.of("script") if "id" not in each]
    assert len(scripts) == 2
    assert 'window.page = "<\\/script><script>alert(1)<\\/script>";' in scripts
    assert not any("src" in each for each, _ in page.of("script"))
    assert page.of("link") == [({"rel": "icon", "href": "data:,"}, "")]
    policy = page.policy()
    assert policy["script-src"] == [*map(hash_of, scripts), "'wasm-unsafe-eval'"]
    assert policy["style-src"] == [hash_of(text) for _, text in page.of("style")]
    assert (policy["worker-src"], policy["connect-src"]) == (["blob:"], ["'none'"])


def hash_of(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.sampled_from(["https://a.org", "", "http://", "x:"]), st.text(st.characters(exclude_categories=["Cs"])))
def test_no_address_changes_the_rest_of_the_policy(built, tmp_path, start, text):
    """An address is refused, or allowed as one origin and nothing else."""
    try:
        write_single_page(tmp_path / "one.html", url=start + text)
    except QueryError:
        return
    policy = Elements((tmp_path / "one.html").read_text(encoding="utf-8")).policy()
    (origin,) = policy["connect-src"]
    assert re.fullmatch(r"https?://[^/?#@\s;,'\"<>]+", origin)
    assert (policy["default-src"], policy["worker-src"], policy["base-uri"]) == (["'none'"], ["blob:"], ["'none'"])


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "ftp://a.org/x", "https://", "//a.org/x", "a b", "x;y", "", "file:///x"]
)
def test_an_address_that_a_browser_cannot_fetch_is_refused(built, tmp_path, url):
    with pytest.raises(QueryError, match="`url`"):
        write_page(tmp_path / "site", url=url)
    assert not (tmp_path / "site").exists()


def test_other_files_are_never_touched(built, toy_path, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(QueryError, match="holds other files"):
        write_page(folder, toy_path)
    with pytest.raises(QueryError, match="is a file"):
        write_page(folder / "thesis.txt", toy_path)
    assert contents(folder) == {"thesis.txt": b"mine"}


def test_what_is_no_atlas_is_refused_before_anything_is_written(built, tmp_path):
    (tmp_path / "not.duckdb").write_text("no atlas")
    with pytest.raises(AtlasError):
        write_page(tmp_path / "site", tmp_path / "not.duckdb")
    (tmp_path / "lake").mkdir()
    with pytest.raises(QueryError, match="is a lake"):
        write_page(tmp_path / "site", tmp_path / "lake")
    assert not (tmp_path / "site").exists()


def test_a_page_that_is_not_built_says_how_to_build_it(built, tmp_path):
    (built / "app.js").unlink()
    for write in (write_page, write_single_page):
        with pytest.raises(MissingDependencyError, match=r"not built: app.js of 9 files are missing.*`make"):
            write(tmp_path / "one.html")
    assert not (tmp_path / "one.html").exists()


def test_the_command_line_explains(built, toy_path, tmp_path):
    code, out, _ = run("page", tmp_path / "site", toy_path)
    assert code == 0
    assert "range requests" in out
    shutil.copy(toy_path, tmp_path / "second.duckdb")
    assert run("page", tmp_path / "site", toy_path, tmp_path / "second.duckdb")[0] == 0
    assert (tmp_path / "site" / "second.duckdb").is_file()
    code, out, _ = run("page", tmp_path / "one.html", "--single")
    assert (code, "asks its readers to pick" in out) == (0, True)
    for arguments, says in {
        (tmp_path / "s", toy_path, "--url", "https://a.org/x"): "--url",
        (tmp_path / "s", "--url", "nothing://x"): "--url must be an address",
        (tmp_path / "one.html", toy_path, "--single"): "Leave out",
        (tmp_path / "s", tmp_path / "no.duckdb"): "There is no atlas at",
        (tmp_path / "one.htm5", "--single"): ".html",
    }.items():
        code, _, err = run("page", *arguments)
        assert (code, says in " ".join(err.split())) == (1, True), err
    assert not (tmp_path / "s").exists()
