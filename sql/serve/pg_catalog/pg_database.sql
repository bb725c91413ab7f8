-- The atlas that the client is connected to.
SELECT
    1 AS oid,
    current_database() AS datname,
    10 AS datdba,
    6 AS encoding,
    true AS datallowconn,
    false AS datistemplate
