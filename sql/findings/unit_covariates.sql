-- unit_covariates: the covariates of each unit of sigdb.compare, over the cells that the run has attributed.
-- sigdb.compare adds the columns that make a unit, and each covariate: the mean of numbers, the only value of
-- anything else.
SELECT count(*) AS n_cells
FROM cells AS u
JOIN sigdb_data.run_cells($run) AS r ON u.cell_id = r._cell;
