-- as_list(names) -> VARCHAR[]
-- Internal: a list of names; NULL for a text, which list_check refuses.
-- Units:   none.
-- Example: SELECT sigdb_data.as_list('CD3E') IS NULL;  --> true

CREATE OR REPLACE MACRO sigdb_data.as_list(names) AS
    CASE WHEN typeof(names) <> 'VARCHAR' THEN TRY_CAST(names AS VARCHAR[]) END;
