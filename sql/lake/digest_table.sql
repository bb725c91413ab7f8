-- digest_table: how many rows a table has, and numbers that are others when any of them is. sigdb.lake puts a table in the
-- place of atlas_info.
SELECT count(*) AS n, bit_xor(hash(t)) AS bits, sum(hash(t)) AS total FROM sigdb_data.atlas_info AS t;
