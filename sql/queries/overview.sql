-- overview: the size of an atlas, one row.
SELECT
    (SELECT count(*) FROM sigdb_data.studies) AS studies,
    (SELECT count(*) FROM sigdb_data.samples) AS samples,
    (SELECT count(*) FROM sigdb_data.cell_data) AS cells,
    (SELECT count(*) FROM sigdb_data.genes) AS genes,
    (SELECT count(*) FROM sigdb_data.attributions) AS scores,
    (SELECT count(*) FROM sigdb_data.signature_info) AS signatures;
