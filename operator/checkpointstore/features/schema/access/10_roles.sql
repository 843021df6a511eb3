-- A role and its mark are made in one transaction, so that an unmarked role of the same name is never ours.

-- name: create_role
CREATE ROLE :"role" NOLOGIN;
COMMENT ON ROLE :"role" IS :'mark'

-- name: create_certificate_login
CREATE ROLE :"role" LOGIN;
COMMENT ON ROLE :"role" IS :'mark'

-- name: join
GRANT :"group" TO :"role"

-- Whatever an application makes then belongs to its group, and the role that follows it at a rotation can use it.
-- name: wear
ALTER ROLE :"role" SET role = :'group'

-- Savers prepare their statements. A plan for all values would read the whole metadata index to filter a single thread.
-- name: plan
ALTER ROLE :"role" SET plan_cache_mode = 'force_custom_plan'

-- name: become
GRANT :"owner" TO CURRENT_USER

-- name: admit
ALTER ROLE :"role" LOGIN PASSWORD :'verifier'

-- name: retire
ALTER ROLE :"role" NOLOGIN PASSWORD NULL
