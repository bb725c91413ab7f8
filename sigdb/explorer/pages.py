"""Write the explorer page for a web host, or as one file."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import shutil
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from sigdb.atlas.file import open_atlas
from sigdb.disk import check_page, check_target, is_lake
from sigdb.errors import MissingDependencyError, QueryError, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Written", "page_files", "write_page", "write_single_page"]

# The files of the page in `sigdb/data/explorer`, as `make explorer` builds them. Vega is in `sigdb/data/vega`.
BUILT = ("index.html", "style.css", "app.js", "catalog.json", "duckdb.wasm.gz", "duckdb.worker.js", "LICENSES.txt")
CONFIG = "config.json"
POLICY = re.compile(r'(<meta http-equiv="Content-Security-Policy" content=")([^"]*)(">)')
# A script or style must not hold what ends it, and in JavaScript and CSS these mean the same.
CLOSING = re.compile("</(?=script|style)", re.IGNORECASE)
# An address with its origin, and one that is relative to the page.
WHOLE = re.compile(r"(https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d+)?)(?:[/?#].*)?", re.IGNORECASE)
RELATIVE = re.compile(r"(?![a-z][a-z0-9+.-]*:|//).+", re.IGNORECASE)
UNSAFE = re.compile(r"[^!#-&(-+\--:=?-\[\]_a-z~]")


@dataclass(frozen=True)
class Written:
    """The page that was written: its path, its bytes, and the atlases that it opens (none: the reader picks one)."""

    path: Path
    n_bytes: int
    atlases: tuple[str, ...]


def data_folder() -> Path:
    """Where the built page and Vega lie in the package."""
    return Path(str(files("sigdb") / "data"))


def page_files() -> dict[str, Path]:
    """The files of the built page by their name. MissingDependencyError if the page is not built."""
    data = data_folder()
    found = {name: data / "explorer" / name for name in BUILT}
    found |= {"vega.js": data / "vega" / "vega.js", "LICENSES-vega.txt": data / "vega" / "LICENSES.txt"}
    if missing := [name for name, path in found.items() if not path.is_file()]:
        raise MissingDependencyError(
            f"The explorer page is not built: {listed(missing)} of {len(found)} files are missing. In a checkout of "
            "sigdb, `make explorer` builds it, with npm. A wheel of sigdb holds the page."
        )
    return found


def write_page(out: str | os.PathLike[str], *atlases: str | os.PathLike[str], url: str | None = None) -> Written:
    """Write the page as static files into a folder, for any web host with range requests.

    atlases: files that are copied beside the page; it opens the first one, and its reader may choose another. url: the
    address of an atlas that is elsewhere, absolute or relative to the page. With neither, the page asks its reader to
    pick a file. A folder that holds a page already is updated.
    """
    found, out = page_files(), Path(out)
    check_folder(out)
    origin = check_url(url)
    check_atlases(atlases, url)
    with ExitStack() as opened:
        for atlas in atlases:  # meanwhile, no other process writes it
            opened.enter_context(open_atlas(atlas, read_only=True))
        out.mkdir(exist_ok=True)
        entries = [atlas_entry(url)] if url else [copy_atlas(Path(atlas), out) for atlas in atlases]
    for name, path in found.items():
        if name != "index.html":
            put(out / name, path.read_bytes())
    index = found["index.html"].read_text(encoding="utf-8")
    put(out / "index.html", allow(index, {"connect-src": ("'self'", *origin)}).encode())
    put(out / CONFIG, json.dumps(config_of(entries)).encode())
    n_bytes = sum(path.stat().st_size for path in out.iterdir() if path.is_file())
    return Written(out, n_bytes, tuple(entry["url"] for entry in entries))


def write_single_page(out: str | os.PathLike[str], *, url: str | None = None) -> Written:
    """Write the page as one self-contained file, which opens a picked atlas without any server, or the one at `url`."""
    found, out = page_files(), Path(out)
    check_page(out)
    origin = check_url(url)
    if url and not origin:
        raise QueryError(f"A page of one file has no place of its own, so `url` must be a whole address, not {url!r}.")
    texts = {name: path.read_text(encoding="utf-8") for name, path in found.items() if path.suffix != ".gz"}
    style = closed(texts["style.css"])
    scripts = [closed(texts["vega.js"]), closed(texts["app.js"])]
    data = {
        CONFIG: ("application/json", json.dumps(config_of([atlas_entry(url)] if url else []))),
        "catalog.json": ("application/json", texts["catalog.json"]),
        "duckdb.worker.js": ("text/plain", closed(texts["duckdb.worker.js"])),
        "duckdb.wasm.gz": ("application/base64", base64.b64encode(found["duckdb.wasm.gz"].read_bytes()).decode()),
    }
    page = texts["index.html"].replace('<link rel="stylesheet" href="style.css">\n', f"<style>{style}</style>\n")
    page = page.replace('<script src="app.js" defer></script>\n', "")
    blocks = [
        f'<script type="{kind}" id="{name}">{as_data(kind, text)}</script>\n' for name, (kind, text) in data.items()
    ]
    blocks += [f"<script>{script}</script>\n" for script in scripts]
    page = page.replace("</body>", "".join(blocks) + "</body>")
    page = allow(
        page,
        {
            "script-src": (*map(hash_of, scripts), "'wasm-unsafe-eval'"),
            "style-src": (hash_of(style),),
            "worker-src": ("blob:",),
            "connect-src": origin or ("'none'",),
        },
    )
    put(out, page.encode())
    return Written(out, out.stat().st_size, (url,) if url else ())


def check_atlases(atlases: Sequence[str | os.PathLike[str]], url: str | None) -> None:
    """Raise QueryError if a page cannot hold these atlases."""
    if atlases and url is not None:
        files = listed(map(str, atlases))
        raise QueryError(f"The page opens atlases of its folder ({files}), or the one at `url={url!r}`, not both.")
    for atlas in filter(is_lake, atlases):
        raise QueryError(
            f"{atlas} is a lake, and a browser opens an atlas file. `sigdb.import_lake(lake, atlas)` makes one."
        )
    named = Counter(name_of(atlas).casefold() for atlas in atlases)
    if same := [str(atlas) for atlas in atlases if named[name_of(atlas).casefold()] > 1]:
        raise QueryError(f"These atlases have one name, by which a reader would choose: {listed(same)}. Rename one.")


def name_of(atlas: str | os.PathLike[str]) -> str:
    """The name of an atlas beside the page."""
    return Path(atlas).stem


def as_data(kind: str, text: str) -> str:
    """The text of a script that is only data; in JSON, < is written as an escape."""
    return text.replace("<", "\\u003c") if kind == "application/json" else text


def closed(text: str) -> str:
    """A script or a style that no text within it can end."""
    return CLOSING.sub(r"<\\/", text)


def hash_of(text: str) -> str:
    """The hash by which the policy of a page allows a script or a style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def allow(page: str, sources: Mapping[str, tuple[str, ...]]) -> str:
    """The page with other sources in its policy."""
    found = POLICY.search(page)
    assert found is not None, "the page has no policy"
    rules = dict(rule.strip().partition(" ")[::2] for rule in found[2].split(";"))
    rules |= {name: html.escape(" ".join(values), quote=False) for name, values in sources.items()}
    policy = "; ".join(f"{name} {values}" for name, values in rules.items())
    return page[: found.start(2)] + policy + page[found.end(2) :]


def check_url(url: str | None) -> tuple[str, ...]:
    """The origin of an address, which the policy of the page must allow; none for a relative address.

    QueryError for an address that a browser cannot fetch.
    """
    if url is None:
        return ()
    if unsafe := UNSAFE.search(url):
        raise QueryError(f"`url` has {unsafe[0]!r}, which an address cannot have: {url!r}. Write it as %20 and so on.")
    if found := WHOLE.fullmatch(url):
        return (found[1],)
    if not RELATIVE.fullmatch(url):
        raise QueryError(f"`url` must be an address with http:// or https://, or relative to the page, not {url!r}.")
    return ()


def atlas_entry(url: str) -> dict[str, str]:
    """The atlas at an address, as the page reads it."""
    name = Path(urlsplit(url).path).name
    return {"name": name.removesuffix(".duckdb") or "atlas", "url": url}


def config_of(atlases: list[dict[str, str]]) -> dict[str, object]:
    """What the page is told about itself."""
    return {"engine": "wasm", "version": version("sigdb-atlas"), "atlases": atlases}


def check_folder(out: Path) -> None:
    """Raise QueryError if a page cannot be written into a folder: it is a file, or it holds something else."""
    check_target(out / CONFIG) if out.is_dir() else check_target(out)
    if out.is_file():
        raise QueryError(f"{out} is a file. Name a folder, which is created if it does not exist.")
    if out.is_dir() and any(out.iterdir()) and not (out / CONFIG).is_file():
        raise QueryError(f"The folder {out} holds other files. Name a new or empty folder, or one with a page.")


def copy_atlas(atlas: Path, out: Path) -> dict[str, str]:
    """Copy an atlas beside the page, and return it as the page reads it."""
    name = f"{name_of(atlas)}.duckdb"
    part = out / f"{name}.part"
    try:
        shutil.copyfile(atlas, part)
        os.replace(part, out / name)
    finally:
        part.unlink(missing_ok=True)
    return {"name": name_of(atlas), "url": quote(name)}


def put(path: Path, content: bytes) -> None:
    """Write a file, or replace it as a whole."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
