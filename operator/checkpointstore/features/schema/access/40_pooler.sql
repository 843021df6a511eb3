-- The pooler logs in with a certificate and asks here for the verifiers of the application's logins, and of no other role.
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
COMMENT ON FUNCTION pooler.user_lookup(text) IS :'mark'
