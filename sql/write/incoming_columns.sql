-- incoming_columns: the columns of sigdb_incoming and the types that DuckDB gives them.
SELECT d.column_name, d.column_type FROM (DESCRIBE SELECT * FROM sigdb_incoming) AS d;
