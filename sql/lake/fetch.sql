-- fetch: the text of the file at $place.
SELECT t.content FROM read_text($place) AS t;
