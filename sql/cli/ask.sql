-- name: found
-- The rows of a finding, which is registered as found.
FROM found;
