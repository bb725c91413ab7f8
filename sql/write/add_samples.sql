-- add_samples: the samples of a study, from the obs of its cells (sigdb_obs), or what is said of them now if the atlas has
-- them. What varies within a sample was refused.
INSERT INTO sigdb_data.samples (
    sample_id, study_id, sample, donor, tissue, disease, assay, sex, development_stage, in_vivo
)
SELECT
    (SELECT coalesce(max(q.sample_id) + 1, 0) FROM sigdb_data.samples AS q) + row_number() OVER (ORDER BY o.sample) - 1,
    $study_id,
    o.sample,
    any_value(o.donor),
    any_value(o.tissue),
    any_value(o.disease),
    any_value(o.assay),
    any_value(o.sex),
    any_value(o.development_stage),
    any_value(o.in_vivo)
FROM sigdb_obs AS o
GROUP BY o.sample
ON CONFLICT (study_id, sample) DO UPDATE SET
    donor = excluded.donor,
    tissue = excluded.tissue,
    disease = excluded.disease,
    assay = excluded.assay,
    sex = excluded.sex,
    development_stage = excluded.development_stage,
    in_vivo = excluded.in_vivo;
