-- cluster: sort the attributions by (run, gene, cell), so that a query reads only the row groups that hold its genes. The
-- table is made anew, as sql/schema.sql makes it.
ALTER TABLE sigdb_data.attributions RENAME TO attributions_before;
CREATE TABLE sigdb_data.attributions (
    run_id UINTEGER USING COMPRESSION RLE,
    gene_id UINTEGER USING COMPRESSION RLE,
    cell_id UINTEGER USING COMPRESSION BITPACKING,
    score FLOAT
);
INSERT INTO sigdb_data.attributions BY NAME FROM sigdb_data.attributions_before ORDER BY run_id, gene_id, cell_id;
DROP TABLE sigdb_data.attributions_before;
