-- name: owner_schema
GRANT USAGE, CREATE ON SCHEMA public TO :"owner"

-- CREATE is asked for by CREATE TABLE IF NOT EXISTS even where the table stands, so that stock setup() needs it to do nothing.
-- name: group_schema
GRANT USAGE, CREATE ON SCHEMA public TO :"group"

-- name: group_default
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"group"

-- name: statistics
CREATE EXTENSION pg_stat_statements SCHEMA public
