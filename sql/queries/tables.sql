-- tables: the base tables of an atlas, or the views over the files of a lake that stand for them.
SELECT t.table_name
FROM information_schema.tables AS t
WHERE t.table_catalog = current_database() AND t.table_schema = 'sigdb_data'
ORDER BY t.table_name;
