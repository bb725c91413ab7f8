"""A web host for tests: it serves a folder, with or without parts of files, and counts what it sends."""

from __future__ import annotations

import gzip
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json"}


@dataclass
class Host:
    """What a host serves and how, and the bytes that it sent of each file.

    has_ranges: whether it answers with parts of files. compresses: whether it sends atlases as gzip.
    """

    folder: Path
    has_ranges: bool = True
    compresses: bool = False
    address: str = ""
    sent: dict[str, int] = field(default_factory=dict)
    n_requests: int = 0


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    protocol_version = "HTTP/1.1"

    def __init__(self, host: Host, *rest) -> None:
        self.host = host
        super().__init__(*rest)

    def log_message(self, *_) -> None:
        """Print nothing."""

    def do_HEAD(self) -> None:
        self.answer(is_head=True)

    def do_GET(self) -> None:
        self.answer(is_head=False)

    def answer(self, is_head: bool) -> None:
        name = unquote(urlsplit(self.path).path).lstrip("/") or "index.html"
        path = self.host.folder / name
        self.host.n_requests += 1
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        part = self.part(len(content)) if self.host.has_ranges else None
        self.send_response(206 if part else 200)
        self.send_header("Content-Type", TYPES.get(path.suffix, "application/octet-stream"))
        if self.host.has_ranges:
            self.send_header("Accept-Ranges", "bytes")
        if part:
            self.send_header("Content-Range", f"bytes {part[0]}-{part[1] - 1}/{len(content)}")
        if self.host.compresses and path.suffix == ".duckdb":
            self.send_header("Content-Encoding", "gzip")
            content = gzip.compress(content, 1)
        if part:
            content = content[slice(*part)]
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not is_head:
            self.host.sent[name] = self.host.sent.get(name, 0) + len(content)
            self.wfile.write(content)

    def part(self, n: int) -> tuple[int, int] | None:
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        return (int(found[1]), min(int(found[2] or n - 1) + 1, n)) if found else None


@contextmanager
def serve(folder: Path, **options) -> Iterator[Host]:
    """A host at a free port of this machine."""
    host = Host(folder, **options)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, host))
    server.daemon_threads = True
    host.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
