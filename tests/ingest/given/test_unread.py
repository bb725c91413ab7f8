"""How many genes of a cell were read, if the scores were computed elsewhere: two columns of obs."""

from __future__ import annotations

import numpy as np
import pytest

import sigdb
from sigdb.errors import ObsError
from tests.ingest.given.conftest import N_CELLS, failed_checks, given_obs, given_scores, load_scores, write_files


def test_what_was_read_is_loaded(tmp_path):
    """Per cell, from two columns of obs. The counts per gene are not known, which is no error."""
    n_read = np.arange(N_CELLS)
    obs = given_obs().assign(n_expressed=n_read + 3, n_read=n_read)
    load_scores(tmp_path / "a.duckdb", write_files(tmp_path, given_scores(), obs))
    with sigdb.connect(tmp_path / "a.duckdb") as con:
        query = "SELECT n_read, n_expressed FROM attributed_cells JOIN cells USING (cell_id) ORDER BY barcode[5:]::INT"
        assert con.execute(query).fetchall() == [(n, n + 3) for n in range(N_CELLS)]
        assert con.execute("FROM unread_genes").fetchall() == []
        assert "n_read" not in con.table("cells").columns
        assert failed_checks(con) == {}


@pytest.mark.parametrize(
    ("columns", "n_wrong"), [({"n_read": 3}, N_CELLS), ({"n_read": [3] * (N_CELLS - 1) + [5], "n_expressed": 4}, 1)]
)
def test_impossible_numbers_of_read_genes_are_refused(tmp_path, columns, n_wrong):
    files = write_files(tmp_path, given_scores(), given_obs().assign(**columns))
    with pytest.raises(
        ObsError, match=f"; {n_wrong} of {N_CELLS} cells have only one of the numbers, or more genes read"
    ):
        load_scores(tmp_path / "a.duckdb", files)
    assert not (tmp_path / "a.duckdb").exists()
