-- Upstream keeps an empty migration for its number's sake.
-- name: migrate
SELECT 1
