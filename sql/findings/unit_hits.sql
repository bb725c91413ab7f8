-- unit_hits: the hit rate of the cells of each unit (donor or sample), in the population $cells. sigdb.compare adds the
-- columns that make a unit, and groups by them. Cells without a score do not count. n_genes, n_measured: as in `units`.
SELECT
    count(*) FILTER (WHERE u.is_hit) / count(u.score) AS hit_rate,
    count(*) FILTER (WHERE u.is_hit) AS n_hits,
    count(u.score) AS n_cells,
    list(DISTINCT u.donor ORDER BY u.donor) AS donors,
    any_value(u.n_genes) AS n_genes,
    any_value(u.n_measured) AS n_measured
FROM (
    SELECT c.* EXCLUDE (cell_id, n_genes), h.score, h.is_hit, k._n_genes AS n_genes, k._n_measured AS n_measured
    FROM signature_hits(
        $genes, percentile := $percentile, cells := $cells, weights := $weights, agg := $agg, missing := $missing,
        run := $run, signed := $signed, measured_only := $measured_only, cutoff := $cutoff, sd := $sd, below := $below
    ) AS h
    JOIN cells AS c ON h.cell_id = c.cell_id
    JOIN sigdb_data.studies AS t ON c.study = t.study
    JOIN sigdb_data.study_coverage($genes, $weights, $run, NULL) AS k ON t.study_id = k._study
    WHERE k._n_measured >= $min_coverage * k._n_genes
        AND (SELECT e._error FROM sigdb_data.coverage_check($min_coverage) AS e) IS NULL
) AS u
HAVING count(u.score) > 0;
