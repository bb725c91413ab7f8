-- staged_signs: whether any score of the Parquet files $files is negative; NULL if there is no score.
SELECT min(s.score) < 0 FROM read_parquet($files) AS s;
