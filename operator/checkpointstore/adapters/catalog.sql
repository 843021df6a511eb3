-- name: server
SELECT current_setting('server_version_num')::int AS version,
       current_setting('max_connections')::int AS max_connections,
       EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) AS lz4

-- name: admin
SELECT me.rolname AS name, me.rolsuper AS superuser, me.rolcreaterole AS createrole,
       EXISTS (SELECT FROM pg_roles owner
                WHERE owner.rolname = %(owner)s
                  AND pg_has_role(owner.oid, CASE WHEN current_setting('server_version_num')::int >= 160000
                                                  THEN 'SET' ELSE 'MEMBER' END)) AS acts_as_owner
  FROM pg_roles me WHERE me.rolname = session_user

-- name: roles
SELECT r.rolname AS name, r.rolcanlogin AS login,
       ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
              WHERE m.member = r.oid) AS groups,
       coalesce((SELECT substr(setting, 6) FROM pg_db_role_setting s, unnest(s.setconfig) setting
                  WHERE s.setrole = r.oid AND s.setdatabase = 0 AND setting LIKE 'role=%%'), '') AS wears,
       coalesce((SELECT split_part(setting, '=', 2) FROM pg_db_role_setting s, unnest(s.setconfig) setting
                  WHERE s.setrole = r.oid AND s.setdatabase = 0 AND setting LIKE 'plan\_cache\_mode=%%'), '') AS plans,
       coalesce(shobj_description(r.oid, 'pg_authid'), '') AS mark
  FROM pg_roles r WHERE r.rolname = ANY (%(names)s)

-- name: verifiers
SELECT rolname AS name, rolpassword AS verifier FROM pg_authid WHERE rolname = ANY (%(names)s)

-- name: database
SELECT d.datname AS name, pg_get_userbyid(d.datdba) AS owner,
       EXISTS (SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) WHERE grantee = 0) AS public,
       ARRAY(SELECT r.rolname::text FROM pg_roles r
              WHERE r.rolname = ANY (%(names)s) AND has_database_privilege(r.oid, d.oid, 'CONNECT')) AS connect
  FROM pg_database d WHERE d.datname = %(database)s

-- name: ground
WITH role AS (SELECT oid, rolname AS name FROM pg_roles)
SELECT EXISTS (SELECT FROM role WHERE name = %(owner)s
                  AND has_schema_privilege(oid, 'public', 'USAGE')
                  AND has_schema_privilege(oid, 'public', 'CREATE')) AS owner_may_create,
       EXISTS (SELECT FROM role WHERE name = %(group)s
                  AND has_schema_privilege(oid, 'public', 'USAGE')
                  AND has_schema_privilege(oid, 'public', 'CREATE')) AS group_may_create,
       ARRAY(SELECT acl.privilege_type FROM pg_default_acl d JOIN role o ON o.oid = d.defaclrole,
                    aclexplode(d.defaclacl) acl JOIN role g ON g.oid = acl.grantee
              WHERE o.name = %(owner)s AND g.name = %(group)s AND d.defaclobjtype = 'r'
                AND d.defaclnamespace = 'public'::regnamespace) AS default_grants,
       coalesce(obj_description(to_regprocedure('pooler.user_lookup(text)'), 'pg_proc'), '') AS lookup,
       coalesce(obj_description(to_regprocedure('checkpointstore.archiving()'), 'pg_proc'), '') AS archiving,
       coalesce(obj_description(to_regprocedure('checkpointstore.threads()'), 'pg_proc'), '') AS metrics,
       -- Only where it is ours and at work: an application may make functions in public too.
       coalesce((SELECT obj_description(p.oid, 'pg_proc') FROM pg_proc p JOIN role o ON o.oid = p.proowner
                  WHERE p.oid = to_regprocedure('public.checkpointstore_limit()') AND o.name = %(owner)s
                    AND 3 = (SELECT count(*) FROM pg_trigger t
                              WHERE t.tgname IN ('checkpointstore_large', 'checkpointstore_limit') AND t.tgenabled = 'O'
                                AND t.tgrelid IN (to_regclass('public.checkpoints'), to_regclass('public.checkpoint_blobs'),
                                                  to_regclass('public.checkpoint_writes')))), '') AS limit,
       (SELECT prorows FROM pg_proc WHERE oid = 'pg_catalog.jsonb_each_text(jsonb)'::regprocedure) AS versions_expected,
       ARRAY(SELECT extname::text FROM pg_extension) AS extensions

-- name: tables
SELECT c.relname AS name, pg_get_userbyid(c.relowner) AS owner, c.relkind = 'r' AS plain,
       coalesce((SELECT json_agg(json_build_object(
                   'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'required', a.attnotnull,
                   'default', coalesce(pg_get_expr(d.adbin, d.adrelid), ''),
                   'compression', CASE a.attcompression WHEN 'l' THEN 'lz4' WHEN 'p' THEN 'pglz' ELSE '' END,
                   'distinct', coalesce((SELECT option_value FROM pg_options_to_table(a.attoptions)
                                          WHERE option_name = 'n_distinct'), '')
                 ) ORDER BY a.attnum)
          FROM pg_attribute a LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]') AS columns,
       coalesce((SELECT array_agg(a.attname::text ORDER BY k.place)
          FROM pg_constraint p, unnest(p.conkey) WITH ORDINALITY AS k (number, place)
          JOIN pg_attribute a ON a.attnum = k.number
         WHERE p.conrelid = c.oid AND p.contype = 'p' AND a.attrelid = c.oid), '{}') AS key,
       (SELECT coalesce(json_object_agg(option_name, option_value), '{}')
          FROM pg_options_to_table(c.reloptions)) AS options,
       ARRAY(SELECT acl.privilege_type FROM aclexplode(c.relacl) acl JOIN pg_roles g ON g.oid = acl.grantee
              WHERE g.rolname = %(group)s) AS granted
  FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%(tables)s)

-- A build in progress holds this lock on its table throughout, and its session is listed to everybody as building.
-- name: indexes
SELECT i.relname AS name, t.relname AS table, x.indisvalid AS valid,
       substring(pg_get_indexdef(i.oid) FROM ' USING (.*)$') AS body,
       NOT x.indisvalid AND EXISTS (
         SELECT FROM pg_locks l JOIN pg_stat_progress_create_index p USING (pid)
          WHERE l.locktype = 'relation' AND l.relation = x.indrelid AND l.granted
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND l.mode = 'ShareUpdateExclusiveLock' AND l.pid <> pg_backend_pid()) AS building
  FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
 WHERE i.relnamespace = 'public'::regnamespace AND i.relname = ANY (%(indexes)s)

-- name: versions
SELECT v FROM public.checkpoint_migrations
