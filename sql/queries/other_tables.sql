-- other_tables: all tables of the file but the attributions, also those that are not sigdb's; after a table, those that refer to it.
WITH RECURSIVE found AS (
    SELECT t.database_name, t.schema_name, t.table_name, 0 AS depth
    FROM duckdb_tables() AS t
    WHERE t.database_name = current_database() AND (t.schema_name, t.table_name) <> ('sigdb_data', 'attributions')
    UNION
    SELECT c.database_name, c.schema_name, c.table_name, f.depth + 1
    FROM duckdb_constraints() AS c
    JOIN found AS f
        ON c.database_name = f.database_name AND c.schema_name = f.schema_name AND c.referenced_table = f.table_name
    WHERE c.constraint_type = 'FOREIGN KEY' AND c.table_name <> f.table_name
)
SELECT f.database_name, f.schema_name, f.table_name
FROM found AS f
GROUP BY f.database_name, f.schema_name, f.table_name
ORDER BY max(f.depth), f.schema_name, f.table_name;
