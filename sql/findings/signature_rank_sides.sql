-- signature_rank_sides: the cells of a group and the other cells, study by study: their number, samples and depth.
-- sigdb.rank_signatures replaces is_chosen by the condition that makes the group.
SELECT
    c.study, coalesce(is_chosen, false) AS in_group, count(*) AS n_cells, count(DISTINCT c.sample) AS n_samples,
    median(c.n_counts) AS median_counts, median(c.n_genes) AS median_detected
FROM cells AS c
JOIN sigdb_data.run_cells($run) AS r ON c.cell_id = r._cell
WHERE (SELECT e._error FROM sigdb_data.run_check($run, false) AS e) IS NULL
GROUP BY c.study, in_group
ORDER BY c.study ASC, in_group ASC;
