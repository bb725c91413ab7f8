-- resolve_columns: which gene of the atlas each column name ($names) of a study is, case and ambiguous names aside.
-- Returns (column number from 0, gene_id, rank), rank as in gene_names.
SELECT CAST(r._position - 1 AS BIGINT), r._gene, r._rank
FROM sigdb_data.resolve_genes($names, NULL, NULL) AS r
WHERE r._gene IS NOT NULL AND r._rank < 10;
