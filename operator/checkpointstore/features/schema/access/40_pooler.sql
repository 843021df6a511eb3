-- The pooler logs in with a certificate and asks here for the verifiers of the application's logins, and of no other role.
-- It also asks, on each new connection, to be thrown out by a standby: an instance that restarts under the leader's name
-- is a standby for some 200 ms while -rw still points at it, and a pooled connection to it would outlive that by an hour.
-- name: lookup
CREATE SCHEMA IF NOT EXISTS pooler;
CREATE OR REPLACE FUNCTION pooler.user_lookup(IN i_user text, OUT uname text, OUT phash text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $lookup$
    SELECT rolname::text, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END
      FROM pg_authid
     WHERE rolname = i_user AND rolcanlogin AND NOT rolsuper AND NOT rolreplication
       AND pg_has_role(oid, :'group', 'MEMBER')
  $lookup$;
REVOKE ALL ON FUNCTION pooler.user_lookup(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA pooler TO :"pooler";
GRANT EXECUTE ON FUNCTION pooler.user_lookup(text) TO :"pooler";
CREATE OR REPLACE FUNCTION pooler.require_primary() RETURNS boolean
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $primary$ SELECT CASE WHEN pg_is_in_recovery() THEN pg_terminate_backend(pg_backend_pid()) END $primary$;
REVOKE ALL ON FUNCTION pooler.require_primary() FROM PUBLIC;
GRANT USAGE ON SCHEMA pooler TO :"group";
GRANT EXECUTE ON FUNCTION pooler.require_primary() TO :"pooler", :"group";
COMMENT ON FUNCTION pooler.user_lookup(text) IS :'mark'
