-- group_scores(genes, weights, missing, run, signed)
--   -> TABLE (_study_id, _study, _tissue, _disease, _type, _n_cells, _score, _n_genes, _n_measured)
-- Internal: the rows of signature_by_sample, averaged over the cells of each study, tissue, disease and cell type.
-- Units:   attribution. The absolute attributions of a cell add up to 1000.
-- Errors:  as for signature_by_sample.
-- Example: SELECT _score FROM sigdb_data.group_scores(['CD3E'], NULL, 'error', NULL, false) WHERE _type = 'T cell';  --> 9.0

CREATE OR REPLACE MACRO sigdb_data.group_scores(genes, weights, missing, run, signed) AS TABLE
SELECT
    t._id AS _study_id, s._study, s._tissue, s._disease, s._type, sum(s._n)::BIGINT AS _n_cells,
    sum(s._score * s._n) / sum(s._n) AS _score,
    any_value(s._n_genes) AS _n_genes, any_value(s._n_measured) AS _n_measured
FROM sigdb_data.sample_scores(genes, weights, 'mean', missing, run, signed, false, 0) AS s
JOIN (SELECT q.study_id AS _id, q.study AS _study FROM sigdb_data.studies AS q) AS t ON s._study = t._study
GROUP BY t._id, s._study, s._tissue, s._disease, s._type;
