-- unit_covariates: what the covariates of sigdb.compare are in each unit, over the cells that the run has attributed;
-- it adds the columns that make a unit, and each covariate: the mean of a number, the one value of anything else.
SELECT count(*) AS n_cells
FROM cells AS u
JOIN sigdb_data.run_cells($run) AS r ON u.cell_id = r._cell;
