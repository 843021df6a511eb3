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

-- Objects, since when nothing refers to one, and since when one holds rows of a thread that was deleted. Which rows of which
-- thread are in which, when they went, and numbers of the runs that made them. Threads of which an object holds rows that are
-- of no use any more: they came back, stayed, or were deleted. Deletions, without the threads' ids. Who was asked for, and when
-- a thread was last asked for or came back. How far a run came that was not through, and when the bucket was last listed.
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
-- name: recall
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
  checkpointstore.run_number(text), checkpointstore.cold_of_runs(text[]), checkpointstore.forget(text[]),
  checkpointstore.delete_thread(text), checkpointstore.deleted() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION checkpointstore.recall(text), checkpointstore.assert_hot(text, text, text),
  checkpointstore.cold_of_runs(text[]), checkpointstore.delete_thread(text) TO :"group";
COMMENT ON FUNCTION checkpointstore.recall(text) IS :'mark'

-- name: reached
SELECT reached FROM checkpointstore.cold_state

-- name: reach
UPDATE checkpointstore.cold_state SET reached = %(thread)s

-- A call that says Hot counts for an hour without being written down again.
-- name: active
SELECT EXISTS (SELECT FROM checkpointstore.recalls AS r WHERE r.thread_id = %(thread)s
                  AND coalesce(r.done > now() - %(after)s - interval '1 hour', true)) AS active

-- name: calm
DELETE FROM checkpointstore.recalls AS r WHERE r.done <= now() - %(after)s - interval '1 hour'

-- VACUUM FULL keeps the versions of rows, but not their places.
-- name: files
SELECT ARRAY[pg_relation_filenode('public.checkpoints'), pg_relation_filenode('public.checkpoint_writes')] AS files

-- What of a thread's checkpoints goes below the floor, by the cut of its namespaces.
-- name: below
SELECT c.checkpoint_ns AS name, c.checkpoint_id AS id FROM public.checkpoints AS c
 WHERE c.thread_id = %(thread)s AND c.checkpoint_ns = ANY (%(names)s) AND c.checkpoint_id < %(floor)s
   AND c.checkpoint_id <> ALL (%(keep)s)

-- name: chosen_checkpoint
SELECT c.place FROM unnest(%(names)s::text[], %(ids)s::text[]) AS m (name, id) CROSS JOIN LATERAL (
       SELECT c.ctid AS place FROM public.checkpoints AS c
        WHERE c.thread_id = %(thread)s AND c.checkpoint_ns = m.name AND c.checkpoint_id = m.id OFFSET 0) AS c

-- name: chosen_write
SELECT w.place FROM unnest(%(names)s::text[], %(ids)s::text[]) AS m (name, id) CROSS JOIN LATERAL (
       SELECT w.ctid AS place FROM public.checkpoint_writes AS w
        WHERE w.thread_id = %(thread)s AND w.checkpoint_ns = m.name AND w.checkpoint_id = m.id OFFSET 0) AS w

-- name: chosen_blob
SELECT b.place FROM (
       SELECT DISTINCT m.name, v.key AS channel, v.value AS version
         FROM unnest(%(names)s::text[], %(ids)s::text[]) AS m (name, id)
        CROSS JOIN LATERAL (
              SELECT c.checkpoint -> 'channel_versions' AS versions FROM public.checkpoints AS c
               WHERE c.thread_id = %(thread)s AND c.checkpoint_ns = m.name AND c.checkpoint_id = m.id OFFSET 0) AS c
        CROSS JOIN LATERAL jsonb_each_text(CASE jsonb_typeof(c.versions) WHEN 'object' THEN c.versions END) AS v) AS v
 CROSS JOIN LATERAL (
       SELECT b.ctid AS place FROM public.checkpoint_blobs AS b
        WHERE b.thread_id = %(thread)s AND b.checkpoint_ns = v.name AND b.channel = v.channel AND b.version = v.version
       OFFSET 0) AS b

-- name: alone
SELECT set_config('statement_timeout', '15min', true),
       pg_try_advisory_xact_lock(hashtextextended('checkpointstore ' || %(thread)s, 0)) AS locked

-- name: enter
SELECT pg_advisory_xact_lock(hashtextextended('checkpointstore ' || %(thread)s, 0))

-- name: archived
INSERT INTO checkpointstore.cold_threads (thread_id, newest, runs, key, first_group, last_group, first_byte, end_byte, rows)
SELECT %(thread)s, %(newest)s,
       ARRAY(SELECT DISTINCT checkpointstore.run_number(c.metadata ->> 'run_id') FROM public.checkpoints AS c
              WHERE c.ctid = ANY (%(checkpoint)s::tid[]) AND c.metadata ? 'run_id'), p.*
  FROM unnest(%(keys)s::text[], %(first_group)s::int[], %(last_group)s::int[], %(first_byte)s::bigint[],
              %(end_byte)s::bigint[], %(rows)s::bigint[]) AS p

-- name: note
INSERT INTO public.checkpointstore_retention_blobs
SELECT %(thread)s, b.name, b.channel, b.version, now()
  FROM unnest(%(spaces)s::text[], %(channels)s::text[], %(versions)s::text[]) AS b (name, channel, version)
    ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO UPDATE SET at = EXCLUDED.at

-- Whether anything came to what went, or to the thread since.
-- name: touched
SELECT EXISTS (SELECT FROM unnest(%(names)s::text[], %(ids)s::text[]) AS m (name, id) CROSS JOIN LATERAL (
               SELECT FROM public.checkpoint_writes AS w WHERE w.thread_id = %(thread)s AND w.checkpoint_ns = m.name
                  AND w.checkpoint_id = m.id OFFSET 0) AS w) AS touched

-- Its threads have not gone yet; where one stays, it holds rows of no use.
-- name: register
WITH made AS (
    INSERT INTO checkpointstore.cold_objects (key, bytes, tail, tail_sha256, rows)
    VALUES (%(key)s, %(bytes)s, %(tail)s, %(tail_sha256)s, %(rows)s))
INSERT INTO checkpointstore.cold_traces (thread_id, key) SELECT t.*, %(key)s FROM unnest(%(threads)s::text[]) AS t

-- name: live
DELETE FROM checkpointstore.cold_traces AS t WHERE t.thread_id = %(thread)s AND t.key = ANY (%(keys)s::text[])

-- A thread that is gone from the database, and whose newest cold row is too old to stay.
-- name: forget
WITH gone AS (
    DELETE FROM checkpointstore.cold_threads AS t
     WHERE t.newest < %(dead)s
       AND NOT EXISTS (SELECT FROM checkpointstore.cold_threads AS o WHERE o.thread_id = t.thread_id AND o.newest >= %(dead)s)
       AND NOT EXISTS (SELECT FROM public.checkpoints AS c WHERE c.thread_id = t.thread_id)
 RETURNING t.thread_id, t.key)
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
       (SELECT max(at) FROM checkpointstore.deletions) AS last_deletion

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
     trace AS (INSERT INTO checkpointstore.cold_traces (thread_id, key)
               SELECT %(thread)s, g.key FROM gone AS g ON CONFLICT DO NOTHING)
SELECT count(*) AS count FROM gone

-- name: done
UPDATE checkpointstore.recalls SET done = now(), tried = now(), error = NULL WHERE thread_id = %(thread)s

-- name: failed
UPDATE checkpointstore.recalls SET tried = now(), error = %(error)s WHERE thread_id = %(thread)s
