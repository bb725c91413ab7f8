-- By a macro, with genes that are written down here.
SELECT c.study, c.cell_type, count(*) AS n, round(avg(s.score), 6) AS score
FROM atlas.signature_score(['LYZ', 'CD14', 'S100A8', 'FAM65B']) AS s
JOIN atlas.cells AS c ON s.cell_id = c.cell_id
GROUP BY c.study, c.cell_type
