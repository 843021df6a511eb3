-- C collation: savers sort checkpoint ids as text, and no operating system update can reorder an index.
-- name: create
CREATE DATABASE :"database" OWNER :"owner" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'

-- name: own
ALTER DATABASE :"database" OWNER TO :"owner"

-- name: close
REVOKE ALL ON DATABASE :"database" FROM PUBLIC

-- name: connect
GRANT CONNECT ON DATABASE :"database" TO :"role"
