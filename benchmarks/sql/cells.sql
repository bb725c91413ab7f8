-- cells: $n_cells cells of a synthetic atlas, spread evenly over the samples; one of 15 cell types each.
INSERT INTO sigdb_data.cell_data (cell_id, sample_id, barcode, cell_type, n_counts, n_genes)
SELECT i.n, i.n * $n_samples // $n_cells, 'cell' || i.n, 'cell type ' || lpad((hash(i.n) % 15)::VARCHAR, 2, '0'), 5000, 2000
FROM range($n_cells) AS i (n);
