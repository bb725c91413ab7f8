"""sigdb without the modules of Unix, as on Windows."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.file_only("it opens atlas files in processes of its own")

# Before sigdb is imported: no modules of Unix, no hard links, and folders that cannot be opened.
WITHOUT_UNIX = """
import errno, os, shutil, sys, warnings
import numpy, pyarrow, duckdb  # they import what they need of the real system
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None

open_file = os.open

def open_no_folder(path, flags, *args, **options):
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))
    return open_file(path, flags, *args, **options)

def no_links(*args, **options):
    raise OSError(errno.ENOTSUP, "Operation not supported")

os.open, os.link = open_no_folder, no_links
shutil._use_fd_functions = False  # as on Windows, rmtree opens no folder
import sigdb.disk
sigdb.disk.CAN_OPEN_FOLDERS = False
import sigdb
"""

USE = """
path, folder = sys.argv[1:]
with sigdb.connect(path) as con:
    assert con.execute("SELECT signature_score(1, ['CD3E'])").fetchall() == [(9.0,)]
    assert sigdb.score(con, ["CD3E"])["score"].to_pylist() == [0.0, 9.0, 0.0]
sigdb.Atlas.create(folder + "/new.duckdb").close()
# Without flock, filelock locks by creating a file, and says so.
warnings.simplefilter("ignore")
assert sigdb.export_lake(path, folder + "/lake").written == 22
assert sigdb.export_lake(path, folder + "/lake").kept == 22
sigdb.import_lake(folder + "/lake", folder + "/imported.duckdb")
sigdb.optimize(folder + "/imported.duckdb")
for atlas in ("/lake", "/imported.duckdb"):
    with sigdb.connect(folder + atlas) as con:
        assert con.execute("SELECT sum(score) FROM attributions").fetchall() == [(13.0,)]
"""


def run(code, *arguments):
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_sigdb_is_imported_without_the_modules_of_unix():
    run(WITHOUT_UNIX + "for name in sigdb.__all__:\n    getattr(sigdb, name) if name != 'plots' else None\n")


@pytest.mark.slow
def test_an_atlas_is_queried_exported_and_written(toy_path, tmp_path):
    run(WITHOUT_UNIX + USE, str(toy_path), str(tmp_path))
