-- atlas_state: something that is another after every change to the attributions, and to what the file is made of.
SELECT
    (SELECT count(*) FROM sigdb_data.attributions) AS n_scores,
    (SELECT count(*) FROM sigdb_data.attributed_cells) AS n_cells,
    (SELECT count(*) FROM sigdb_data.ingest_chunks) AS n_chunks,
    (SELECT coalesce(max(k.written)::VARCHAR, '') FROM sigdb_data.ingest_chunks AS k) AS written,
    (
        SELECT md5(string_agg(o.made::VARCHAR, chr(10) ORDER BY o.made::VARCHAR))
        FROM (
            SELECT [c.schema_name, c.table_name, c.column_name, c.data_type, c.comment] AS made
            FROM duckdb_columns() AS c WHERE c.database_name = current_database()
            UNION ALL
            SELECT [t.schema_name, t.sql, t.comment] FROM duckdb_tables() AS t WHERE t.database_name = current_database()
            UNION ALL
            SELECT [v.schema_name, v.sql, v.comment]
            FROM duckdb_views() AS v WHERE v.database_name = current_database() AND NOT v.internal
            UNION ALL
            SELECT [f.schema_name, f.function_name, f.parameters::VARCHAR, f.macro_definition, f.comment]
            FROM duckdb_functions() AS f WHERE f.database_name = current_database() AND NOT f.internal
            UNION ALL
            SELECT [i.schema_name, i.sql] FROM duckdb_indexes() AS i WHERE i.database_name = current_database()
            UNION ALL
            SELECT [s.schema_name, s.sql] FROM duckdb_sequences() AS s WHERE s.database_name = current_database()
        ) AS o
    ) AS made_of;
