-- copy_samples: each sample $n_times - 1 times more, with a name and a donor of its own.
INSERT INTO sigdb_data.samples BY NAME
SELECT
    s.* REPLACE (
        s.sample_id + k.n * t.n AS sample_id, s.sample || ' copy ' || k.n AS sample,
        coalesce(s.donor, s.sample) || ' copy ' || k.n AS donor
    )
FROM sigdb_data.samples AS s
CROSS JOIN (SELECT max(o.sample_id) + 1 AS n FROM sigdb_data.samples AS o) AS t
CROSS JOIN range(1, $n_times) AS k (n);
