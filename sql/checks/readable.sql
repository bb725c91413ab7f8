-- readable: every column of every table can be read.
-- sigdb/atlas/verify.py puts each table in the place of atlas_info, and asks whether the query fails.
SELECT system.main.bit_xor(system.main.hash(t)) FROM sigdb_data.atlas_info AS t;
