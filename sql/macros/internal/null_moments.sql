-- null_moments(genes, weights, n_controls, seed, n_bins, missing, run, signed)
--   -> TABLE (_study_id, _study, _tissue, _disease, _type, _n_cells, _score, _n_genes, _n_measured, _n, _mean, _sd, _quantiles, _n_high, _n_low)
-- Internal: the score of each group beside the scores of its control sets: their number, mean, standard deviation and
-- quantiles (2.5 %, 50 %, 97.5 %), and how many are at least as high (_n_high) or as low (_n_low). Sums that differ by
-- rounding only count as equal.
-- Units:   attribution. The absolute attributions of a cell add up to 1000. _n is 0 if the study measured none of the genes.
-- Errors:  as for signature_by_sample.
-- Example: SELECT _mean FROM sigdb_data.null_moments(['CD3E'], NULL, 5, 0, 25, 'error', NULL, false) WHERE _type = 'T cell';  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.null_moments(genes, weights, n_controls, seed, n_bins, missing, run, signed) AS TABLE
SELECT
    c._study_id, c._study, c._tissue, c._disease, c._type, any_value(c._n_cells) AS _n_cells,
    any_value(c._score) AS _score, any_value(c._n_genes) AS _n_genes, any_value(c._n_measured) AS _n_measured,
    count(c._value) AS _n, avg(c._value) AS _mean,
    CASE WHEN stddev_samp(c._value) <= 1e-9 * abs(avg(c._value)) THEN 0 ELSE stddev_samp(c._value) END AS _sd,
    quantile_cont(c._value, [0.025, 0.5, 0.975]) AS _quantiles,
    count(*) FILTER (WHERE c._value >= c._score - 1e-9 * abs(c._score)) AS _n_high,
    count(*) FILTER (WHERE c._value <= c._score + 1e-9 * abs(c._score)) AS _n_low
FROM (
    SELECT
        g._study_id, g._study, g._tissue, g._disease, g._type, g._n_cells, g._score, g._n_genes, g._n_measured,
        CASE WHEN g._n_measured > 0 THEN coalesce(v._value, 0) / g._n_cells END AS _value
    FROM sigdb_data.group_scores(genes, weights, missing, run, signed) AS g
    CROSS JOIN (SELECT unnest(range(n_controls)) AS _control) AS n
    LEFT JOIN sigdb_data.null_scores(genes, weights, n_controls, seed, n_bins, run, signed) AS v
        ON n._control = v._control AND g._study_id = v._study AND g._tissue IS NOT DISTINCT FROM v._tissue
        AND g._disease IS NOT DISTINCT FROM v._disease AND g._type IS NOT DISTINCT FROM v._type
) AS c
GROUP BY c._study_id, c._study, c._tissue, c._disease, c._type;
