-- The library is preloaded or it is not there.
-- name: able
SELECT current_setting('squeeze.max_xlock_time', true) IS NOT NULL AS loaded

-- Whoever owns the schema, or may create in it, could have put code there that a superuser would run.
-- name: squatted
SELECT EXISTS (
  SELECT FROM pg_namespace AS n JOIN pg_roles AS r ON r.oid = n.nspowner
   WHERE n.nspname = 'squeeze'
     AND (NOT r.rolsuper
          OR EXISTS (SELECT FROM aclexplode(n.nspacl) AS a WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner))
) AS squatted

-- What is free is in the free space map, one byte a page, as the last vacuum left it.
-- name: tables
SELECT c.relname AS name, pg_total_relation_size(c.oid) AS total, (size.heap + size.toast)::bigint AS rows,
       (size.heap * coalesce(squeeze.get_heap_freespace(c.oid), 0)
        + size.toast * CASE WHEN size.toast > 0 THEN coalesce(squeeze.get_heap_freespace(c.reltoastrelid), 0) ELSE 0 END)::bigint AS free,
       EXISTS (SELECT FROM squeeze.log AS l WHERE l.tabschema = 'public' AND l.tabname = c.relname
                  AND l.finished > now() - interval '1 day')
       OR EXISTS (SELECT FROM squeeze.errors AS e WHERE e.tabschema = 'public' AND e.tabname = c.relname
                     AND e.occurred > now() - interval '1 day') AS tried
  FROM pg_class AS c
 CROSS JOIN LATERAL (SELECT pg_relation_size(c.oid) AS heap,
                            CASE c.reltoastrelid WHEN 0 THEN 0 ELSE pg_relation_size(c.reltoastrelid) END AS toast) AS size
 WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%(names)s)
 ORDER BY free DESC

-- name: ground
SELECT (SELECT coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) FROM pg_stat_archiver) AS unarchived,
       EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'squeeze worker' AND datname = current_database()) AS working

-- name: role
SELECT shobj_description(oid, 'pg_authid') AS mark FROM pg_roles WHERE rolname = 'squeezer'

-- name: create_role
CREATE ROLE squeezer;
COMMENT ON ROLE squeezer IS :'mark'

-- pg_squeeze's worker logs in as the role that calls it, with that role's settings, and asks only for REPLICATION. As this one,
-- not as a superuser, it would run whatever an index had it run. Writers queue behind its lock, which it waits for half a second.
-- name: shape_role
ALTER ROLE squeezer NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS LOGIN REPLICATION PASSWORD NULL;
ALTER ROLE squeezer SET search_path = pg_catalog, pg_temp;
ALTER ROLE squeezer SET lock_timeout = '500ms';
GRANT CONNECT ON DATABASE :"database" TO squeezer;
GRANT USAGE ON SCHEMA squeeze TO squeezer;
GRANT INSERT ON squeeze.log, squeeze.errors TO squeezer;
GRANT USAGE ON SEQUENCE squeeze.errors_id_seq TO squeezer

-- Servers from 17.11 on decode by libraries of this list only; earlier ones do not know it.
-- name: listed
SELECT current_setting('output_plugin_libraries', true) IS NOT NULL AS known

-- name: list
ALTER ROLE squeezer SET output_plugin_libraries = pg_squeeze

-- What a server that crashed in the middle of a rewrite keeps WAL and dead rows for.
-- name: leftover
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
 WHERE plugin = 'pg_squeeze' AND NOT active AND database = current_database()
   AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'squeeze worker' AND datname = current_database())

-- A try is noted before it begins, as one that ends with the server would leave nothing.
-- name: begin
DELETE FROM squeeze.errors WHERE occurred < now() - interval '30 days';
DELETE FROM squeeze.log WHERE finished < now() - interval '30 days';
INSERT INTO squeeze.errors (tabschema, tabname, sql_state, err_msg) VALUES ('public', :'name', '00000', 'begun by the retention Job')

-- name: rewrite
SELECT squeeze.squeeze_table('public'::name, %(name)s::name, NULL::name, NULL::name, NULL::name[])

-- name: done
DELETE FROM squeeze.errors WHERE tabschema = 'public' AND tabname = :'name' AND err_msg = 'begun by the retention Job'

-- name: size
SELECT pg_total_relation_size(format('public.%%I', %(name)s::text)::regclass) AS bytes
