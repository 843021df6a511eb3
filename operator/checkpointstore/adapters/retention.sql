-- name: there
SELECT to_regclass('public.checkpoints') IS NOT NULL AND to_regclass('public.checkpoint_blobs') IS NOT NULL
       AND to_regclass('public.checkpoint_writes') IS NOT NULL AS tables,
       to_regclass('public.checkpointstore_retention_cursor') IS NOT NULL AS own

-- Tables that are not what the owner role made, or that run code of another than it, this login or a superuser: one of the name may
-- have been there before, and one that was taken over brings its triggers along.
-- name: strange
WITH told AS (
  SELECT c.relname AS name, CASE
         WHEN c.relkind <> 'r' OR pg_get_userbyid(c.relowner) <> current_user THEN 'is not a plain table of ' || current_user
         WHEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid) THEN 'has a rule'
         WHEN EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid) THEN 'has a table that inherits from it'
         WHEN c.relforcerowsecurity THEN 'has row security that is forced on its owner'
         WHEN EXISTS (SELECT FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid JOIN pg_roles AS r ON r.oid = p.proowner
                       WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND NOT r.rolsuper
                         AND r.rolname NOT IN (current_user, session_user)) THEN 'has a trigger of somebody else''s function'
         -- What an index is on is looked at whenever a statement is planned.
         WHEN EXISTS (SELECT FROM pg_index AS x JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = x.indexrelid
                       WHERE x.indrelid = c.oid
                         AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass))
              THEN 'has an index on what PostgreSQL does not bring along'
         WHEN current_setting('session_replication_role') = 'replica'
              AND EXISTS (SELECT FROM pg_constraint WHERE confrelid = c.oid AND contype = 'f') THEN 'has a foreign key that refers to it'
         END AS what
    FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%(names)s)
)
SELECT name, what FROM told WHERE what IS NOT NULL ORDER BY name

-- Blobs that a removed checkpoint referred to, and when the last such was removed; and how far a run came that was not through.
-- name: table
CREATE TABLE public.checkpointstore_retention_blobs (
    thread_id text,
    checkpoint_ns text,
    channel text,
    version text,
    at timestamptz NOT NULL,
    PRIMARY KEY (thread_id, checkpoint_ns, channel, version)
);
CREATE INDEX ON public.checkpointstore_retention_blobs (at);
CREATE TABLE public.checkpointstore_retention_cursor (thread_id text PRIMARY KEY);
REVOKE ALL ON public.checkpointstore_retention_blobs, public.checkpointstore_retention_cursor FROM :"group"

-- name: lag
SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn)), 0)::bigint AS bytes
  FROM pg_stat_replication AS r WHERE r.state = 'streaming'
   AND NOT EXISTS (SELECT FROM pg_replication_slots AS s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')

-- What a superuser's session calls must be a superuser's.
-- name: told
SELECT EXISTS (SELECT FROM pg_proc AS p JOIN pg_roles AS r ON r.oid = p.proowner
                WHERE p.oid = to_regprocedure('checkpointstore.statement_times()') AND r.rolsuper
                  AND has_function_privilege(p.oid, 'EXECUTE')) AS told

-- Operations that an agent waits for at each of its steps.
-- name: times
SELECT queryid, calls_total AS calls, seconds_total AS seconds, square_seconds_total AS squares
  FROM checkpointstore.statement_times() WHERE kind IN ('put', 'put_writes', 'get')

-- name: cursor
SELECT thread_id FROM public.checkpointstore_retention_cursor

-- name: reach
INSERT INTO public.checkpointstore_retention_cursor VALUES (%(thread)s)

-- The next threads in the order of the primary key, each found by one descent into it, and of each the oldest, the newest and the
-- n-th newest checkpoint of the root graph by one more: rows are neither read nor counted.
-- name: looks
WITH RECURSIVE thread AS (
  (SELECT c.thread_id AS id FROM public.checkpoints AS c
    WHERE c.thread_id >= coalesce(%(after)s::text, '') AND c.thread_id IS DISTINCT FROM %(after)s::text
    ORDER BY c.thread_id LIMIT 1)
  UNION ALL
  SELECT (SELECT c.thread_id FROM public.checkpoints AS c WHERE c.thread_id > t.id ORDER BY c.thread_id LIMIT 1)
    FROM thread AS t WHERE t.id IS NOT NULL
), page AS (
  SELECT t.id FROM thread AS t WHERE t.id IS NOT NULL LIMIT %(most)s
), seen AS (
  SELECT p.id, oldest.id AS oldest, newest.id AS newest,
         CASE WHEN %(last)s > 0 AND last.id IS NOT NULL THEN least(last.id, %(young)s::text) END AS floor
    FROM page AS p
    LEFT JOIN LATERAL (SELECT c.checkpoint_id AS id FROM public.checkpoints AS c
                        WHERE c.thread_id = p.id AND c.checkpoint_ns = '' ORDER BY c.checkpoint_id LIMIT 1) AS oldest ON true
    LEFT JOIN LATERAL (SELECT c.checkpoint_id AS id FROM public.checkpoints AS c
                        WHERE c.thread_id = p.id AND c.checkpoint_ns = '' ORDER BY c.checkpoint_id DESC LIMIT 1) AS newest ON true
    LEFT JOIN LATERAL (SELECT c.checkpoint_id AS id FROM public.checkpoints AS c
                        WHERE c.thread_id = p.id AND c.checkpoint_ns = '' ORDER BY c.checkpoint_id DESC
                       OFFSET greatest(%(last)s - 1, 0) LIMIT 1) AS last ON true
)
SELECT s.id AS thread,
       %(fresh)s::text IS NOT NULL AND coalesce(s.newest < %(fresh)s::text, true) AS idle,
       CASE WHEN s.oldest < s.floor THEN s.floor ELSE '' END AS floor
  FROM seen AS s

-- The namespaces of one thread, found like threads, that have checkpoints below the floor, and what of that stays:
-- - All of a subgraph's call goes once the checkpoint goes that made the call; until then all of it stays.
-- - Of a subgraph that remembers, what a time travel to a kept checkpoint finds: the newest before it, and before the one that a
--   kept fork was made from.
-- - Checkpoints before version 4 take the tasks that were sent to them from their parent's writes, so that one stays.
-- Where ids tell no time they cannot be compared with those of the root graph, and nothing goes but what is counted.
-- name: cuts
WITH RECURSIVE ns AS (
  SELECT (SELECT c.checkpoint_ns FROM public.checkpoints AS c WHERE c.thread_id = %(thread)s
           ORDER BY c.checkpoint_ns LIMIT 1) AS name
  UNION ALL
  SELECT (SELECT c.checkpoint_ns FROM public.checkpoints AS c WHERE c.thread_id = %(thread)s AND c.checkpoint_ns > ns.name
           ORDER BY c.checkpoint_ns LIMIT 1)
    FROM ns WHERE ns.name IS NOT NULL
), bound AS MATERIALIZED (
  SELECT %(floor)s::text AS id
  UNION
  SELECT c.parent_checkpoint_id FROM public.checkpoints AS c
   WHERE c.thread_id = %(thread)s AND c.checkpoint_ns = '' AND c.checkpoint_id >= %(floor)s
     AND c.parent_checkpoint_id < %(floor)s AND c.metadata ->> 'source' IN ('update', 'fork')
), part AS MATERIALIZED (
  SELECT ns.name, position(':' in ns.name) > 0 AS call, head.root < %(floor)s AS orphan,
         coalesce(position(':' in ns.name) > 0 AND head.id < %(floor)s AND head.root < %(floor)s AND head.root ~ %(timed)s, false)
           AS over
    FROM ns CROSS JOIN LATERAL (
         SELECT c.checkpoint_id AS id, c.metadata -> 'parents' ->> '' AS root FROM public.checkpoints AS c
          WHERE c.thread_id = %(thread)s AND c.checkpoint_ns = ns.name ORDER BY c.checkpoint_id DESC LIMIT 1) AS head
   WHERE ns.name IS NOT NULL
     AND EXISTS (SELECT FROM public.checkpoints AS c WHERE c.thread_id = %(thread)s AND c.checkpoint_ns = ns.name
                    AND c.checkpoint_id < %(floor)s)
     AND (ns.name = '' AND NOT %(aged)s
          OR %(floor)s ~ %(timed)s
             AND NOT EXISTS (SELECT FROM public.checkpoints AS c WHERE c.thread_id = %(thread)s
                                AND c.checkpoint_ns = ns.name AND c.checkpoint_id < %(floor)s AND c.checkpoint_id !~ %(timed)s))
)
SELECT p.name, p.over, below.ids || sender.ids AS keep,
       NOT p.over AND (
         EXISTS (SELECT FROM public.checkpoints AS c WHERE c.thread_id = %(thread)s AND c.checkpoint_ns = p.name
                    AND (c.metadata ? 'counters_since_delta_snapshot' OR c.metadata ? 'delta_writes_versioned'))
         OR EXISTS (SELECT FROM public.checkpoints AS c
                     CROSS JOIN LATERAL jsonb_each(CASE jsonb_typeof(c.checkpoint -> 'channel_values')
                                                   WHEN 'object' THEN c.checkpoint -> 'channel_values' END) AS v
                     WHERE c.thread_id = %(thread)s AND c.checkpoint_ns = p.name AND v.value = 'true'
                       AND EXISTS (SELECT FROM public.checkpoint_blobs AS b
                                    WHERE b.thread_id = %(thread)s AND b.checkpoint_ns = p.name AND b.channel = v.key
                                      AND b.version = c.checkpoint -> 'channel_versions' ->> v.key))) AS delta
  FROM part AS p
 CROSS JOIN LATERAL (
       SELECT ARRAY(SELECT newest.id FROM bound CROSS JOIN LATERAL (
                           SELECT c.checkpoint_id AS id FROM public.checkpoints AS c
                            WHERE c.thread_id = %(thread)s AND c.checkpoint_ns = p.name AND c.checkpoint_id < bound.id
                            ORDER BY c.checkpoint_id DESC LIMIT 1) AS newest
                     WHERE p.name <> '' AND NOT p.over) AS ids) AS below
 CROSS JOIN LATERAL (
       SELECT ARRAY(SELECT c.parent_checkpoint_id FROM public.checkpoints AS c
                     WHERE c.thread_id = %(thread)s AND c.checkpoint_ns = p.name
                       AND (c.checkpoint_id >= %(floor)s OR c.checkpoint_id = ANY (below.ids))
                       AND c.parent_checkpoint_id < %(floor)s AND (c.checkpoint ->> 'v')::int < 4
                       AND EXISTS (SELECT FROM public.checkpoint_writes AS w
                                    WHERE w.thread_id = %(thread)s AND w.checkpoint_ns = p.name
                                      AND w.checkpoint_id = c.parent_checkpoint_id AND w.channel = '__pregel_tasks')
                       AND NOT p.over) AS ids) AS sender
 WHERE p.over OR NOT p.call OR p.orphan IS NULL

-- The statements that remove never join two sets of a thread's rows: how many those are is estimated worst for the threads that
-- are worth pruning, and such a join can go quadratic. Each row is looked up by its key, and removed by its place.
-- name: doomed
SELECT c.ctid AS place, c.checkpoint_ns AS name, c.checkpoint_id AS id FROM public.checkpoints AS c
 WHERE c.thread_id = %(thread)s AND c.checkpoint_ns = ANY (%(names)s) AND c.checkpoint_id < %(floor)s
   AND (c.checkpoint_ns, c.checkpoint_id) > (%(name)s, %(id)s) AND c.checkpoint_id <> ALL (%(keep)s)
 ORDER BY c.checkpoint_ns, c.checkpoint_id LIMIT %(most)s

-- name: doomed_writes
SELECT w.place FROM doomed AS d CROSS JOIN LATERAL (
       SELECT w.ctid AS place FROM public.checkpoint_writes AS w
        WHERE w.thread_id = %(thread)s AND w.checkpoint_ns = d.name AND w.checkpoint_id = d.id OFFSET 0) AS w

-- name: last
(SELECT name FROM doomed ORDER BY name DESC, id DESC LIMIT 1) AS name,
(SELECT id FROM doomed ORDER BY name DESC, id DESC LIMIT 1) AS id

-- name: old
SELECT NOT EXISTS (SELECT FROM public.checkpoints AS c WHERE c.thread_id = %(thread)s
               AND (c.checkpoint_id >= %(fresh)s OR c.checkpoint_id !~ %(timed)s))
AND NOT EXISTS (SELECT FROM public.checkpoint_writes AS w WHERE w.thread_id = %(thread)s
                   AND (w.checkpoint_id >= %(fresh)s OR w.checkpoint_id !~ %(timed)s)) AS old

-- name: written
SELECT EXISTS (SELECT FROM public.checkpoints WHERE thread_id = %(thread)s)
       OR EXISTS (SELECT FROM public.checkpoint_writes WHERE thread_id = %(thread)s) AS written

-- name: note
INSERT INTO public.checkpointstore_retention_blobs
SELECT %(thread)s, v.name, v.key, v.value, now()
  FROM (SELECT DISTINCT c.name, v.key, v.value
          FROM checkpoint AS c
         CROSS JOIN LATERAL jsonb_each_text(CASE jsonb_typeof(c.versions) WHEN 'object' THEN c.versions END) AS v) AS v
 CROSS JOIN LATERAL (
       SELECT FROM public.checkpoint_blobs AS b WHERE b.thread_id = %(thread)s AND b.checkpoint_ns = v.name
          AND b.channel = v.key AND b.version = v.value OFFSET 0) AS b
    ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO UPDATE SET at = EXCLUDED.at

-- name: note_all
INSERT INTO public.checkpointstore_retention_blobs
SELECT b.thread_id, b.checkpoint_ns, b.channel, b.version, now() FROM public.checkpoint_blobs AS b
 WHERE b.thread_id = %(thread)s AND (SELECT old FROM old)
    ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO UPDATE SET at = EXCLUDED.at

-- name: count
(SELECT count(*) FROM checkpoint) AS checkpoints, (SELECT count(*) FROM write) AS writes,
(SELECT coalesce(sum(size), 0)::bigint FROM (SELECT size FROM checkpoint UNION ALL SELECT size FROM write) AS row) AS bytes

-- name: due
SELECT DISTINCT thread_id FROM (
  SELECT thread_id FROM public.checkpointstore_retention_blobs
   WHERE at <= now() - %(grace)s
     AND thread_id <> ALL (%(busy)s) ORDER BY at LIMIT 1000) AS oldest

-- name: noted
SELECT n.ctid AS place, n.checkpoint_ns AS name, n.channel, n.version FROM public.checkpointstore_retention_blobs AS n
 WHERE n.thread_id = %(thread)s AND n.at <= now() - %(grace)s LIMIT %(most)s

-- name: loose
SELECT name, channel, version FROM noted
EXCEPT
SELECT c.checkpoint_ns, v.key, v.value FROM public.checkpoints AS c
 CROSS JOIN LATERAL jsonb_each_text(CASE jsonb_typeof(c.checkpoint -> 'channel_versions')
                                    WHEN 'object' THEN c.checkpoint -> 'channel_versions' END) AS v
 WHERE c.thread_id = %(thread)s

-- name: loose_blobs
SELECT b.place FROM loose AS l CROSS JOIN LATERAL (
       SELECT b.ctid AS place FROM public.checkpoint_blobs AS b WHERE b.thread_id = %(thread)s
          AND b.checkpoint_ns = l.name AND b.channel = l.channel AND b.version = l.version OFFSET 0) AS b

-- name: done
DELETE FROM public.checkpointstore_retention_blobs AS n WHERE n.ctid = ANY (ARRAY(SELECT place FROM noted))

-- What only these checkpoints refer to.
-- name: would
WITH version AS MATERIALIZED (
  SELECT c.checkpoint_ns AS name, v.key AS channel, v.value AS version,
         c.checkpoint_ns = ANY (%(names)s) AND c.checkpoint_id < %(floor)s
         AND (c.checkpoint_ns, c.checkpoint_id) NOT IN (SELECT * FROM unnest(%(spared)s::text[], %(keep)s::text[])) AS goes
    FROM public.checkpoints AS c
   CROSS JOIN LATERAL jsonb_each_text(CASE jsonb_typeof(c.checkpoint -> 'channel_versions')
                                      WHEN 'object' THEN c.checkpoint -> 'channel_versions' END) AS v
   WHERE c.thread_id = %(thread)s
)
SELECT name, channel, version FROM version WHERE goes
EXCEPT
SELECT name, channel, version FROM version WHERE NOT goes
