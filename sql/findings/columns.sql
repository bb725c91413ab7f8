-- name: columns
-- The columns of the view $view, and their types.
SELECT d.column_name, d.column_type FROM (DESCRIBE FROM query_table($view)) AS d;

-- name: embeddings
-- The names of the embeddings of the cells, umap first: umap for the columns umap_1 and umap_2 of numbers.
SELECT left(d.column_name, -2) AS embedding
FROM (DESCRIBE FROM cells) AS d
WHERE d.column_name LIKE '%\_1' ESCAPE '\' AND d.column_type IN ('FLOAT', 'DOUBLE')
    AND EXISTS (FROM (DESCRIBE FROM cells) AS e WHERE e.column_name = left(d.column_name, -2) || '_2')
ORDER BY embedding <> 'umap' ASC, embedding ASC;
