-- clear_summary: empty the cube and the group sizes, to be made anew.
DELETE FROM sigdb_data.attribution_summary;
DELETE FROM sigdb_data.group_sizes;
