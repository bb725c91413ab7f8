-- ledger: each study and run has as many cells and scores as were written.
SELECT count(*), min(
    'study ' || coalesce(l.study_id, f.study_id) || ', run ' || coalesce(l.run_id, f.run_id) || ': '
    || coalesce(l.n_cells, 0) || ' cells and ' || coalesce(l.n_scores, 0) || ' scores written, '
    || coalesce(f.n_cells, 0) || ' and ' || coalesce(f.n_scores, 0) || ' found'
)
FROM (
    SELECT k.study_id, k.run_id, sum(k.n_cells) AS n_cells, sum(k.n_scores) AS n_scores
    FROM sigdb_data.ingest_chunks AS k GROUP BY k.study_id, k.run_id
) AS l
FULL JOIN (
    SELECT s.study_id, r.run_id, count(*) AS n_cells, sum(coalesce(a.n, 0)) AS n_scores
    FROM sigdb_data.attributed_cells AS r
    JOIN sigdb_data.cell_data AS c ON r.cell_id = c.cell_id
    JOIN sigdb_data.samples AS s ON c.sample_id = s.sample_id
    LEFT JOIN (
        SELECT q.run_id, q.cell_id, count(*) AS n FROM sigdb_data.attributions AS q GROUP BY q.run_id, q.cell_id
    ) AS a ON r.run_id = a.run_id AND r.cell_id = a.cell_id
    GROUP BY s.study_id, r.run_id
) AS f ON l.study_id = f.study_id AND l.run_id = f.run_id
WHERE l.n_cells IS DISTINCT FROM f.n_cells OR l.n_scores IS DISTINCT FROM f.n_scores;
