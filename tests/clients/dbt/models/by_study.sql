-- By the view of a signature of the library.
SELECT study, sum(score * n_cells) / sum(n_cells) AS score FROM atlas.sample_scores."MS1" GROUP BY study
