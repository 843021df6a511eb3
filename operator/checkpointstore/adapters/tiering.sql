-- name: ground
SELECT r.rolname AS owner, r.rolsuper AS superuser,
       ARRAY(SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END
               FROM aclexplode(n.nspacl) AS a WHERE a.privilege_type = 'CREATE') AS makers,
       has_schema_privilege(:'owner', n.oid, 'CREATE') AS ready,
       (SELECT obj_description(p.oid, 'pg_proc') FROM pg_proc AS p
         WHERE p.pronamespace = n.oid AND p.proname = 'recall' AND p.proargtypes::text = '25') AS mark
  FROM pg_namespace AS n JOIN pg_roles AS r ON r.oid = n.nspowner WHERE n.nspname = 'checkpointstore'

-- name: schema
CREATE SCHEMA checkpointstore

-- name: admit
GRANT USAGE, CREATE ON SCHEMA checkpointstore TO :"owner";
GRANT USAGE ON SCHEMA checkpointstore TO :"group"

-- Objects, the tier that each was written for as the spec had it then, since when nothing refers to one, and since when one
-- holds rows of a thread that was deleted. Which rows of which thread are in which, when they went, numbers of the runs that made
-- them, and the values outside that they refer to. The newest checkpoint of the root graph of each thread that went whole. Threads
-- of which an object holds rows that are of no use any more: they came back, stayed, or were
-- deleted. Deletions, without the threads' ids. Who was asked for, and when a thread was last asked for or came back. How far
-- a run came that was not through, and when the bucket was last listed.
-- name: tables
CREATE TABLE IF NOT EXISTS checkpointstore.cold_objects (
    key text PRIMARY KEY,
    bytes bigint NOT NULL,
    tail bigint NOT NULL,
    tail_sha256 text NOT NULL,
    rows bigint NOT NULL,
    written timestamptz NOT NULL DEFAULT now(),
    unused timestamptz,
    erase timestamptz
);
ALTER TABLE checkpointstore.cold_objects
    ADD COLUMN IF NOT EXISTS tier text,
    ADD COLUMN IF NOT EXISTS after double precision,
    ADD COLUMN IF NOT EXISTS storage_class text;
CREATE TABLE IF NOT EXISTS checkpointstore.cold_threads (
    thread_id text,
    key text,
    first_group integer NOT NULL,
    last_group integer NOT NULL,
    first_byte bigint NOT NULL,
    end_byte bigint NOT NULL,
    rows bigint NOT NULL,
    newest text NOT NULL,
    moved timestamptz NOT NULL DEFAULT now(),
    runs integer[],
    PRIMARY KEY (thread_id, key)
);
ALTER TABLE checkpointstore.cold_threads ADD COLUMN IF NOT EXISTS blobs text[];
CREATE INDEX IF NOT EXISTS cold_threads_key ON checkpointstore.cold_threads (key);
CREATE INDEX IF NOT EXISTS cold_threads_runs ON checkpointstore.cold_threads USING gin (runs);
CREATE INDEX IF NOT EXISTS cold_threads_newest ON checkpointstore.cold_threads (newest);
CREATE TABLE IF NOT EXISTS checkpointstore.cold_traces (
    thread_id text,
    key text,
    deleted boolean NOT NULL DEFAULT false,
    PRIMARY KEY (thread_id, key)
);
CREATE INDEX IF NOT EXISTS cold_traces_key ON checkpointstore.cold_traces (key);
CREATE TABLE IF NOT EXISTS checkpointstore.deletions (
    sha256 text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    told boolean NOT NULL DEFAULT false
);
CREATE TABLE IF NOT EXISTS checkpointstore.cold_heads (
    thread_id text PRIMARY KEY,
    checkpoint_id text NOT NULL,
    parent_checkpoint_id text,
    checkpoint jsonb NOT NULL,
    metadata jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS cold_heads_newest ON checkpointstore.cold_heads (checkpoint_id);
CREATE INDEX IF NOT EXISTS cold_heads_metadata ON checkpointstore.cold_heads
    USING gin (metadata jsonb_path_ops) WITH (fastupdate = off);
CREATE TABLE IF NOT EXISTS checkpointstore.recalls (
    thread_id text PRIMARY KEY,
    asked timestamptz NOT NULL DEFAULT now(),
    done timestamptz,
    tried timestamptz,
    error text
);
CREATE INDEX IF NOT EXISTS recalls_waiting ON checkpointstore.recalls (asked) WHERE done IS NULL;
CREATE TABLE IF NOT EXISTS checkpointstore.cold_state (reached text, listed timestamptz NOT NULL DEFAULT '-infinity');
INSERT INTO checkpointstore.cold_state (reached) SELECT NULL WHERE NOT EXISTS (SELECT FROM checkpointstore.cold_state)

-- What the application calls. Whoever is told that a thread is hot has it for as long as one that was just written: whoever moves
-- a thread takes the lock alone, and then looks here.
-- name: functions
CREATE OR REPLACE FUNCTION checkpointstore.recall(thread text) RETURNS text
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $recall$
  DECLARE
    failed boolean;
  BEGIN
    IF NOT EXISTS (SELECT FROM checkpointstore.cold_threads AS t WHERE t.thread_id = thread) THEN
      PERFORM pg_advisory_xact_lock_shared(hashtextextended('checkpointstore ' || thread, 0));
      IF NOT EXISTS (SELECT FROM checkpointstore.cold_threads AS t WHERE t.thread_id = thread) THEN
        INSERT INTO checkpointstore.recalls AS r (thread_id, done)
        SELECT thread, now() WHERE EXISTS (SELECT FROM public.checkpoints AS c WHERE c.thread_id = thread)
            ON CONFLICT (thread_id) DO UPDATE SET done = now() WHERE r.done < now() - interval '1 hour';
        RETURN 'Hot';
      END IF;
    END IF;
    INSERT INTO checkpointstore.recalls AS r (thread_id) VALUES (thread)
        ON CONFLICT (thread_id) DO UPDATE SET asked = now(), done = NULL, tried = NULL, error = NULL WHERE r.done IS NOT NULL;
    IF FOUND THEN
      PERFORM pg_notify('checkpointstore_recall', '');
    END IF;
    SELECT r.error IS NOT NULL INTO failed FROM checkpointstore.recalls AS r WHERE r.thread_id = thread;
    RETURN CASE WHEN failed THEN 'Failed' ELSE 'Queued' END;
  END
  $recall$;
CREATE OR REPLACE FUNCTION checkpointstore.assert_hot(thread text, namespace text, id text) RETURNS void
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $hot$
  BEGIN
    IF NOT EXISTS (SELECT FROM public.checkpoints AS c
                    WHERE c.thread_id = thread AND c.checkpoint_ns = namespace AND c.checkpoint_id = id)
       AND EXISTS (SELECT FROM checkpointstore.cold_threads AS t WHERE t.thread_id = thread) THEN
      RAISE EXCEPTION USING ERRCODE = 'CS001', MESSAGE = 'checkpoint ' || id || ' of thread ' || thread || ' is cold',
        HINT = 'Call checkpointstore.recall(thread) until it says Hot, and write again.';
    END IF;
  END
  $hot$;
CREATE OR REPLACE FUNCTION checkpointstore.run_number(run text) RETURNS integer
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN ('x' || left(md5(run), 8))::bit(32)::integer;
CREATE OR REPLACE FUNCTION checkpointstore.cold_of_runs(runs text[]) RETURNS text[]
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  RETURN ARRAY(SELECT DISTINCT t.thread_id FROM checkpointstore.cold_threads AS t
                WHERE t.runs && ARRAY(SELECT checkpointstore.run_number(r.run) FROM unnest(cold_of_runs.runs) AS r (run)));
CREATE OR REPLACE FUNCTION checkpointstore.cold_heads(filter jsonb, before text, most integer)
  RETURNS TABLE (thread_id text, checkpoint_ns text, checkpoint_id text, parent_checkpoint_id text, checkpoint jsonb, metadata jsonb)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
  AS $heads$
  BEGIN
    RETURN QUERY
      SELECT h.thread_id, '', h.checkpoint_id, h.parent_checkpoint_id, h.checkpoint, h.metadata FROM checkpointstore.cold_heads AS h
       WHERE (filter IS NULL OR h.metadata @> filter) AND (before IS NULL OR h.checkpoint_id < before)
       ORDER BY h.checkpoint_id DESC LIMIT most;
  END
  $heads$;
CREATE OR REPLACE FUNCTION checkpointstore.forget(threads text[]) RETURNS void
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
  AS $forget$
  BEGIN
    WITH gone AS (DELETE FROM checkpointstore.cold_threads AS t WHERE t.thread_id = ANY (threads) RETURNING t.thread_id, t.key)
    INSERT INTO checkpointstore.cold_traces (thread_id, key) SELECT g.thread_id, g.key FROM gone AS g ON CONFLICT DO NOTHING;
    UPDATE checkpointstore.cold_traces AS t SET deleted = true WHERE t.thread_id = ANY (threads);
    UPDATE checkpointstore.cold_objects AS o SET erase = coalesce(o.erase, now())
     WHERE o.key IN (SELECT t.key FROM checkpointstore.cold_traces AS t WHERE t.thread_id = ANY (threads));
    INSERT INTO checkpointstore.deletions AS d (sha256)
    SELECT encode(sha256(convert_to(t.id, 'utf8')), 'hex') FROM unnest(threads) AS t (id)
        ON CONFLICT (sha256) DO UPDATE SET at = now(), told = false;
    DELETE FROM checkpointstore.cold_heads AS h WHERE h.thread_id = ANY (threads);
    DELETE FROM checkpointstore.recalls AS r WHERE r.thread_id = ANY (threads);
  END
  $forget$;
CREATE OR REPLACE FUNCTION checkpointstore.delete_thread(thread text) RETURNS void
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $delete$
  BEGIN
    -- First: nobody moves it or brings it back from here on.
    PERFORM pg_advisory_xact_lock(hashtextextended('checkpointstore ' || thread, 0));
    PERFORM checkpointstore.forget(ARRAY[thread]);
    DELETE FROM public.checkpoints AS c WHERE c.thread_id = thread;
    DELETE FROM public.checkpoint_blobs AS b WHERE b.thread_id = thread;
    DELETE FROM public.checkpoint_writes AS w WHERE w.thread_id = thread;
  END
  $delete$;
-- A stock saver deletes threads by their rows. A thread is deleted when its last checkpoint goes, unless the owner prunes or
-- moves it. Whoever brings it back meanwhile finds no entry left and gives up, or has done so before forget() goes on.
CREATE OR REPLACE FUNCTION checkpointstore.deleted() RETURNS trigger
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $deleted$
  DECLARE
    threads text[];
  BEGIN
    IF current_setting('role') <> current_user THEN
      threads := ARRAY(SELECT DISTINCT g.thread_id FROM gone AS g
                        WHERE NOT EXISTS (SELECT FROM public.checkpoints AS c WHERE c.thread_id = g.thread_id));
      IF threads <> '{}' THEN
        PERFORM checkpointstore.forget(threads);
        DELETE FROM public.checkpoints AS c WHERE c.thread_id = ANY (threads);
      END IF;
    END IF;
    RETURN NULL;
  END
  $deleted$;
CREATE OR REPLACE TRIGGER checkpointstore_deleted AFTER DELETE ON public.checkpoints
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION checkpointstore.deleted();
REVOKE ALL ON FUNCTION checkpointstore.recall(text), checkpointstore.assert_hot(text, text, text),
  checkpointstore.run_number(text), checkpointstore.cold_of_runs(text[]), checkpointstore.cold_heads(jsonb, text, integer),
  checkpointstore.forget(text[]), checkpointstore.delete_thread(text), checkpointstore.deleted() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION checkpointstore.recall(text), checkpointstore.assert_hot(text, text, text),
  checkpointstore.cold_of_runs(text[]), checkpointstore.cold_heads(jsonb, text, integer), checkpointstore.delete_thread(text)
  TO :"group";
COMMENT ON FUNCTION checkpointstore.recall(text) IS :'mark'

-- name: reached
SELECT reached FROM checkpointstore.cold_state

-- name: reach
UPDATE checkpointstore.cold_state SET reached = %(thread)s

-- A call that says Hot counts for an hour without being written down again.
-- name: active
SELECT EXISTS (SELECT FROM checkpointstore.recalls AS r WHERE r.thread_id = t.id
                  AND coalesce(r.done > now() - %(after)s - interval '1 hour', true)) AS active

-- name: calm
DELETE FROM checkpointstore.recalls AS r WHERE r.done <= now() - %(after)s - interval '1 hour'

-- VACUUM FULL keeps the versions of rows, but not their places.
-- name: files
SELECT ARRAY[pg_relation_filenode('public.checkpoints'), pg_relation_filenode('public.checkpoint_writes')] AS files

-- What of threads' checkpoints is below the floor, by namespace.
-- name: below
SELECT m.thread, m.name, c.id FROM unnest(%(threads)s::text[], %(names)s::text[], %(floors)s::text[]) AS m (thread, name, floor)
 CROSS JOIN LATERAL (
       SELECT c.checkpoint_id AS id FROM public.checkpoints AS c
        WHERE c.thread_id = m.thread AND c.checkpoint_ns = m.name AND c.checkpoint_id < m.floor OFFSET 0) AS c

-- name: chosen_checkpoint
SELECT c.place FROM unnest(%(owners)s::text[], %(names)s::text[], %(ids)s::text[]) AS m (thread, name, id) CROSS JOIN LATERAL (
       SELECT c.ctid AS place FROM public.checkpoints AS c
        WHERE c.thread_id = m.thread AND c.checkpoint_ns = m.name AND c.checkpoint_id = m.id OFFSET 0) AS c

-- name: chosen_write
SELECT w.place FROM unnest(%(owners)s::text[], %(names)s::text[], %(ids)s::text[]) AS m (thread, name, id) CROSS JOIN LATERAL (
       SELECT w.ctid AS place FROM public.checkpoint_writes AS w
        WHERE w.thread_id = m.thread AND w.checkpoint_ns = m.name AND w.checkpoint_id = m.id OFFSET 0) AS w

-- name: chosen_blob
SELECT b.place FROM (
       SELECT DISTINCT m.thread, m.name, v.key AS channel, v.value AS version
         FROM unnest(%(owners)s::text[], %(names)s::text[], %(ids)s::text[]) AS m (thread, name, id)
        CROSS JOIN LATERAL (
              SELECT c.checkpoint -> 'channel_versions' AS versions FROM public.checkpoints AS c
               WHERE c.thread_id = m.thread AND c.checkpoint_ns = m.name AND c.checkpoint_id = m.id OFFSET 0) AS c
        CROSS JOIN LATERAL jsonb_each_text(CASE jsonb_typeof(c.versions) WHEN 'object' THEN c.versions END) AS v) AS v
 CROSS JOIN LATERAL (
       SELECT b.ctid AS place FROM public.checkpoint_blobs AS b
        WHERE b.thread_id = v.thread AND b.checkpoint_ns = v.name AND b.channel = v.channel AND b.version = v.version
       OFFSET 0) AS b

-- Whoever has to wait for a row of one thread keeps no other thread's for long.
-- name: alone
SELECT set_config('statement_timeout', '15min', true),
       set_config('lock_timeout', CASE WHEN cardinality(%(threads)s::text[]) > 1 THEN '100ms' ELSE '1s' END, true),
       bool_and(pg_try_advisory_xact_lock(hashtextextended('checkpointstore ' || t.id, 0))) AS locked
  FROM unnest(%(threads)s::text[]) AS t (id)

-- name: enter
SELECT pg_advisory_xact_lock(hashtextextended('checkpointstore ' || %(thread)s, 0))

-- name: archived
INSERT INTO checkpointstore.cold_threads
       (thread_id, newest, key, first_group, last_group, first_byte, end_byte, rows, blobs, runs)
SELECT p.thread, p.newest, p.key, p.first_group, p.last_group, p.first_byte, p.end_byte, p.rows,
       string_to_array(p.blobs, ' '), coalesce(made.runs, '{}')
  FROM unnest(%(holders)s::text[], %(newest)s::text[], %(keys)s::text[], %(first_group)s::int[], %(last_group)s::int[],
              %(first_byte)s::bigint[], %(end_byte)s::bigint[], %(rows)s::bigint[], %(blobs)s::text[])
       AS p (thread, newest, key, first_group, last_group, first_byte, end_byte, rows, blobs)
  LEFT JOIN (SELECT c.thread_id AS thread, array_agg(DISTINCT checkpointstore.run_number(c.run)) AS runs
               FROM checkpoint AS c WHERE c.run IS NOT NULL GROUP BY c.thread_id) AS made ON made.thread = p.thread

-- What is on its way out is still seen by the statement that removes it.
-- name: head
INSERT INTO checkpointstore.cold_heads AS h (thread_id, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
SELECT t.id, c.* FROM unnest(%(threads)s::text[]) AS t (id) CROSS JOIN LATERAL (
       SELECT c.checkpoint_id, c.parent_checkpoint_id, c.checkpoint, c.metadata FROM public.checkpoints AS c
        WHERE c.thread_id = t.id AND c.checkpoint_ns = '' ORDER BY c.checkpoint_id DESC LIMIT 1) AS c
    ON CONFLICT (thread_id) DO UPDATE SET checkpoint_id = EXCLUDED.checkpoint_id,
       parent_checkpoint_id = EXCLUDED.parent_checkpoint_id, checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata
       WHERE h.checkpoint_id <= EXCLUDED.checkpoint_id

-- name: note
INSERT INTO public.checkpointstore_retention_blobs
SELECT v.thread_id, v.checkpoint_ns, v.key, v.value, now()
  FROM (SELECT DISTINCT c.thread_id, c.checkpoint_ns, v.key, v.value
          FROM checkpoint AS c
         CROSS JOIN LATERAL jsonb_each_text(CASE jsonb_typeof(c.versions) WHEN 'object' THEN c.versions END) AS v) AS v
 CROSS JOIN LATERAL (
       SELECT FROM public.checkpoint_blobs AS b WHERE b.thread_id = v.thread_id AND b.checkpoint_ns = v.checkpoint_ns
          AND b.channel = v.key AND b.version = v.value OFFSET 0) AS b
    ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO UPDATE SET at = EXCLUDED.at

-- name: note_all
INSERT INTO public.checkpointstore_retention_blobs
SELECT b.thread_id, b.checkpoint_ns, b.channel, b.version, now() FROM public.checkpoint_blobs AS b
 WHERE b.thread_id = ANY (%(threads)s)
    ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO UPDATE SET at = EXCLUDED.at

-- Whether anything came to what went, or to the thread since.
-- name: touched
SELECT EXISTS (SELECT FROM unnest(%(owners)s::text[], %(names)s::text[], %(ids)s::text[]) AS m (thread, name, id)
                CROSS JOIN LATERAL (
               SELECT FROM public.checkpoint_writes AS w WHERE w.thread_id = m.thread AND w.checkpoint_ns = m.name
                  AND w.checkpoint_id = m.id OFFSET 0) AS w) AS touched

-- Its threads have not gone yet; where one stays, it holds rows of no use.
-- name: register
WITH made AS (
    INSERT INTO checkpointstore.cold_objects (key, bytes, tail, tail_sha256, rows, tier, after, storage_class)
    VALUES (%(key)s, %(bytes)s, %(tail)s, %(tail_sha256)s, %(rows)s, %(name)s, %(after)s, %(storage_class)s))
INSERT INTO checkpointstore.cold_traces (thread_id, key) SELECT t.*, %(key)s FROM unnest(%(threads)s::text[]) AS t

-- name: live
DELETE FROM checkpointstore.cold_traces AS t USING unnest(%(holders)s::text[], %(keys)s::text[]) AS p (thread, key)
 WHERE t.thread_id = p.thread AND t.key = p.key

-- A thread that is gone from the database, and whose newest cold row is too old to stay.
-- name: forget
WITH gone AS (
    DELETE FROM checkpointstore.cold_threads AS t
     WHERE t.newest < %(dead)s
       AND NOT EXISTS (SELECT FROM checkpointstore.cold_threads AS o WHERE o.thread_id = t.thread_id AND o.newest >= %(dead)s)
       AND NOT EXISTS (SELECT FROM public.checkpoints AS c WHERE c.thread_id = t.thread_id)
 RETURNING t.thread_id, t.key),
     head AS (DELETE FROM checkpointstore.cold_heads AS h WHERE h.thread_id IN (SELECT g.thread_id FROM gone AS g))
INSERT INTO checkpointstore.cold_traces (thread_id, key) SELECT g.thread_id, g.key FROM gone AS g ON CONFLICT DO NOTHING

-- name: mark
UPDATE checkpointstore.cold_objects AS o
   SET unused = CASE WHEN used.yes THEN NULL ELSE now() END
  FROM (SELECT p.key, EXISTS (SELECT FROM checkpointstore.cold_threads AS t WHERE t.key = p.key) AS yes
          FROM checkpointstore.cold_objects AS p) AS used
 WHERE used.key = o.key AND used.yes = (o.unused IS NOT NULL)

-- name: unused
SELECT key FROM checkpointstore.cold_objects
 WHERE unused <= now() - %(grace)s AND starts_with(key, %(prefix)s) ORDER BY unused LIMIT 100

-- name: drop
WITH trace AS (DELETE FROM checkpointstore.cold_traces WHERE key = ANY (%(keys)s))
DELETE FROM checkpointstore.cold_objects WHERE key = ANY (%(keys)s)

-- Objects of before there were tiers.
-- name: adopt
UPDATE checkpointstore.cold_objects SET tier = %(name)s, after = %(after)s, storage_class = %(storage_class)s WHERE tier IS NULL

-- name: list_due
SELECT listed <= now() - least(%(grace)s, interval '1 day') AS due FROM checkpointstore.cold_state

-- name: known
SELECT key FROM checkpointstore.cold_objects WHERE key = ANY (%(keys)s)

-- name: listed
UPDATE checkpointstore.cold_state SET listed = now()

-- name: total
SELECT (SELECT count(DISTINCT thread_id) FROM checkpointstore.cold_threads) AS threads,
       (SELECT count(*) FROM checkpointstore.cold_objects) AS objects,
       (SELECT coalesce(sum(bytes), 0)::bigint FROM checkpointstore.cold_objects) AS bytes,
       (SELECT count(*) FROM checkpointstore.recalls WHERE done IS NULL) AS waiting,
       (SELECT count(DISTINCT thread_id) FROM checkpointstore.cold_traces WHERE deleted) AS deleted,
       (SELECT count(DISTINCT thread_id) FROM checkpointstore.cold_traces
         WHERE deleted AND NOT starts_with(key, %(prefix)s)) AS deleted_elsewhere,
       (SELECT max(at) FROM checkpointstore.deletions) AS last_deletion

-- No more of them than a Job's last words take.
-- name: tiers
WITH held AS (
    SELECT o.tier, o.storage_class, count(*) AS objects, sum(o.bytes)::bigint AS bytes
      FROM checkpointstore.cold_objects AS o GROUP BY o.tier, o.storage_class),
     thread AS (
    SELECT d.tier, d.storage_class, count(*) AS threads
      FROM (SELECT DISTINCT o.tier, o.storage_class, t.thread_id
              FROM checkpointstore.cold_threads AS t JOIN checkpointstore.cold_objects AS o ON o.key = t.key) AS d
     GROUP BY d.tier, d.storage_class)
SELECT h.tier AS name, h.storage_class, h.objects, h.bytes, coalesce(t.threads, 0) AS threads
  FROM held AS h LEFT JOIN thread AS t
    ON (t.tier, t.storage_class) IS NOT DISTINCT FROM (h.tier, h.storage_class)
 ORDER BY h.bytes DESC, name LIMIT 8

-- name: columns
SELECT c.relname || '.' || a.attname AS name FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'public'::regnamespace AND c.relname || '.' || a.attname <> ALL (%(known)s)
   AND c.relname = ANY (%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1

-- name: waiting
SELECT thread_id FROM checkpointstore.recalls
 WHERE done IS NULL AND coalesce(tried <= now() - interval '30 seconds', true) ORDER BY asked LIMIT 100

-- What went last comes first: it is what the application had last.
-- name: pieces
SELECT t.key, t.first_group, t.last_group, t.first_byte, t.end_byte, t.rows, o.bytes, o.tail, o.tail_sha256
  FROM checkpointstore.cold_threads AS t JOIN checkpointstore.cold_objects AS o ON o.key = t.key
 WHERE t.thread_id = %(thread)s ORDER BY t.moved DESC, t.key DESC

-- name: back
WITH gone AS (DELETE FROM checkpointstore.cold_threads AS t WHERE t.thread_id = %(thread)s RETURNING t.key),
     head AS (DELETE FROM checkpointstore.cold_heads AS h WHERE h.thread_id = %(thread)s),
     trace AS (INSERT INTO checkpointstore.cold_traces (thread_id, key)
               SELECT %(thread)s, g.key FROM gone AS g ON CONFLICT DO NOTHING),
     done AS (UPDATE checkpointstore.recalls SET done = now(), tried = now(), error = NULL WHERE thread_id = %(thread)s)
SELECT count(*) AS count FROM gone

-- name: failed
UPDATE checkpointstore.recalls SET tried = now(), error = %(error)s WHERE thread_id = %(thread)s
