-- samples: $n_samples samples of a synthetic atlas, 25 a study; 40 diseases, 7 tissues.
INSERT INTO sigdb_data.samples (sample_id, study_id, sample, donor, tissue, disease, in_vivo)
SELECT
    i.n, i.n // 25, 'sample ' || i.n, 'donor ' || i.n, 'tissue ' || i.n % 7,
    CASE WHEN i.n % 40 = 0 THEN 'normal' ELSE 'disease ' || i.n % 40 END, true
FROM range($n_samples) AS i (n);
