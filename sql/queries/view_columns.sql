-- view_columns: the columns of $views, and the comment of the column that each shows: of that name in the table of the
-- view's name, or in all tables that have one, where they say the same; else NULL.
SELECT v.table_name, v.column_name, coalesce(
    any_value(t.comment) FILTER (t.table_name = v.table_name),
    CASE WHEN count(DISTINCT t.comment) = 1 THEN any_value(t.comment) END
)
FROM duckdb_columns() AS v
LEFT JOIN duckdb_columns() AS t
    ON v.column_name = t.column_name AND v.database_name = t.database_name AND t.schema_name = 'sigdb_data'
WHERE v.database_name = current_database() AND v.schema_name = 'main' AND list_contains($views, v.table_name)
GROUP BY v.table_name, v.column_name;
