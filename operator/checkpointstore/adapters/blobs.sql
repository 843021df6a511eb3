-- name: there
SELECT to_regclass('public.checkpoints') IS NOT NULL AND to_regclass('public.checkpoint_blobs') IS NOT NULL
       AND to_regclass('public.checkpoint_writes') IS NOT NULL AS tables,
       to_regclass('public.checkpointstore_unused_blobs') IS NOT NULL AS own,
       EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('checkpointstore.cold_threads') AND attname = 'blobs') AS tiered,
       EXISTS (SELECT FROM pg_class AS c WHERE c.oid = to_regclass('checkpointstore.cold_threads')
                  AND (c.relkind <> 'r' OR pg_get_userbyid(c.relowner) <> current_user
                       OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid)
                       OR EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid))) AS strange

-- Values outside that nothing refers to, and since when.
-- name: table
CREATE TABLE public.checkpointstore_unused_blobs (key text PRIMARY KEY, since timestamptz NOT NULL DEFAULT now());
REVOKE ALL ON public.checkpointstore_unused_blobs FROM :"group"

-- One statement sees one moment: a thread that moves or comes back meanwhile is in one place of them at least.
-- name: hot
SELECT b.type FROM public.checkpoint_blobs AS b WHERE starts_with(b.type, 'blob')
 UNION
SELECT w.type FROM public.checkpoint_writes AS w WHERE starts_with(w.type, 'blob')

-- name: cold
 UNION
SELECT 'blob:' || k.key || ':' FROM checkpointstore.cold_threads AS t CROSS JOIN LATERAL unnest(t.blobs) AS k (key)

-- name: unused
WITH used AS (DELETE FROM public.checkpointstore_unused_blobs AS u WHERE u.key <> ALL (%(keys)s::text[]))
INSERT INTO public.checkpointstore_unused_blobs (key) SELECT k.key FROM unnest(%(keys)s::text[]) AS k (key)
    ON CONFLICT (key) DO NOTHING

-- name: due
SELECT key FROM public.checkpointstore_unused_blobs WHERE since <= now() - %(keep)s ORDER BY key
