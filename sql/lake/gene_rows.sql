-- gene_rows: how many attributions a gene id has in a run, on average.
SELECT count(*) // greatest(count(DISTINCT a.run_id) * (max(a.gene_id) + 1), 1) AS n FROM sigdb_data.attributions AS a;
