-- name: columns
-- The columns of the view $view, and their types.
SELECT d.column_name, d.column_type FROM (DESCRIBE FROM query_table($view)) AS d;
