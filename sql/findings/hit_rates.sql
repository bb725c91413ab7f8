-- hit_rates: the hit rate of every sample of the population $cells (see sample_hit_rates). sigdb.hits replaces
-- label_column by the column of `samples` that groups them. left_out: why a sample is not part of the ranking; NULL if it
-- is. $unnamed: labels that name no donor or sample, such as 'unknown'. n_samples and mean_rate describe the sample's group;
-- mean_rate counts only samples with the same left_out.
SELECT h.*, avg(h.hit_rate) OVER (PARTITION BY h.label, h.left_out) AS mean_rate
FROM (
    SELECT
        n.* EXCLUDE (is_large),
        CASE
            WHEN n.hit_rate IS NULL AND n.n_measured = 0 THEN 'no gene measured'
            WHEN NOT n.is_large THEN 'too few cells'
            WHEN n.label IS NULL THEN 'no label'
            WHEN n.n_samples < $min_samples THEN 'too few samples'
            WHEN list_contains($unnamed, lower(replace(regexp_replace(n.label::VARCHAR, '^\s+|\s+$', '', 'g'), '_', ' '))) THEN 'no name'
        END AS left_out
    FROM (
        SELECT
            r.*, r.n_cells >= $min_cells AS is_large,
            count(r.hit_rate) OVER (PARTITION BY r.label, r.n_cells >= $min_cells) AS n_samples
        FROM (
            SELECT h.*, s.label_column AS label
            FROM sample_hit_rates(
                $genes, percentile := $percentile, min_cells := 0, cells := $cells, weights := $weights, agg := $agg,
                missing := $missing, run := $run, signed := $signed, measured_only := $measured_only,
                min_coverage := $min_coverage, cutoff := $cutoff, sd := $sd, below := $below,
                against := $against
            ) AS h
            JOIN samples AS s ON h.study = s.study AND h.sample = s.sample
        ) AS r
    ) AS n
) AS h
ORDER BY h.left_out ASC NULLS FIRST, mean_rate DESC, h.label ASC, h.hit_rate DESC, h.study ASC, h.sample ASC;
