-- signature_by_sample(genes, weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false, measured_only := false, min_coverage := 0)
--   -> TABLE (study, sample, donor, tissue, disease, cell_type, n_cells, score, n_genes, n_measured)
-- The mean score of the cells of each sample and cell type. It comes from the cube: it is exact and reads no cell. The mean
-- over larger groups is sum(score * n_cells) / sum(n_cells).
-- n_genes:      genes of the score.  n_measured: how many of them the sample's study measured.
-- measured_only: divide by the measured genes only; NULL if the study measured none.
-- min_coverage: leave out studies that measured a smaller part of the genes, from 0 to 1.
-- Units:   attribution. The absolute attributions of a cell add up to 1000. Other options: as for signature_score.
-- Errors:  as for signature_score; min_coverage not from 0 to 1.
-- Example: SELECT score FROM signature_by_sample(['S100A8', 'S100A9']) WHERE cell_type = 'monocyte';  --> 4.0

CREATE OR REPLACE MACRO signature_by_sample(
    genes, weights := NULL, agg := 'mean', missing := 'error', run := NULL, signed := false,
    measured_only := false, min_coverage := 0
) AS TABLE
SELECT
    s._study AS study, s._name AS sample, s._donor AS donor, s._tissue AS tissue, s._disease AS disease,
    s._type AS cell_type, s._n AS n_cells, s._score AS score, s._n_genes AS n_genes, s._n_measured AS n_measured
FROM sigdb_data.sample_scores(genes, weights, agg, missing, run, signed, measured_only, min_coverage) AS s;
