-- add_sums: rows of the cube of a run (sigdb_sums), sorted by gene, sample and cell type; as add_summary makes them.
INSERT INTO sigdb_data.attribution_summary (
    run_id, sample_id, cell_type, gene_id, n_nonzero, sum_abs, sum_signed, sum_sq
)
SELECT $run_id, i.sample_id, i.cell_type, i.gene_id, i.n_nonzero, i.sum_abs, i.sum_signed, i.sum_sq
FROM sigdb_sums AS i;
