-- The owner of everything that the catalogue shows.
SELECT
    10 AS oid,
    'sigdb' AS rolname,
    true AS rolcanlogin,
    false AS rolsuper
