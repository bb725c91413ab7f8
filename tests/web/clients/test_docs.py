"""What docs/guides/server-clients.md shows is run against a server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("psycopg", reason="`make test-web` runs these tests")

from tests.test_docs import BLOCKS

PROGRAMS = {"python client": [sys.executable, "-c"], "sh client": ["sh", "-ec"], "r client": ["Rscript", "-e"]}
# The ports on the page, and the doors that they belong to.
PORTS = {"5432": "postgresql", "8815": "grpc", "8080": "http"}
NEEDED = {"sh client": ("psql",), "r client": ("Rscript",)}


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.info in PROGRAMS], ids=lambda block: block.code[:30]
)
def test_a_client_on_the_page_gets_rows(server, block):
    for program in NEEDED.get(block.info, ()):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    code = block.code
    for port, door in PORTS.items():
        code = code.replace(port, str(server.ports[door]))
    environment = os.environ | {"SIGDB_TOKEN": server.token}
    done = subprocess.run([*PROGRAMS[block.info], code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "wu2020_tcell" in done.stdout or "zheng2017_pbmc68k" in done.stdout, done.stdout
