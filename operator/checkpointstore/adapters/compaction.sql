-- name: objects
SELECT o.key, o.bytes, o.rows, o.written, o.erase, o.tier AS name, o.after, o.storage_class, t.*
  FROM checkpointstore.cold_objects AS o
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(t.rows), 0)::bigint AS live, coalesce(max(t.newest COLLATE "C"), '') AS newest
         FROM checkpointstore.cold_threads AS t WHERE t.key = o.key) AS t
 WHERE o.unused IS NULL AND starts_with(o.key, %(prefix)s)

-- name: object
SELECT key, bytes, tail, tail_sha256, rows FROM checkpointstore.cold_objects WHERE key = %(key)s

-- name: threads
SELECT thread_id AS thread, rows FROM checkpointstore.cold_threads WHERE key = %(key)s

-- name: register
INSERT INTO checkpointstore.cold_objects (key, bytes, tail, tail_sha256, rows, tier, after, storage_class)
VALUES (%(key)s, %(bytes)s, %(tail)s, %(tail_sha256)s, %(rows)s, %(name)s, %(after)s, %(storage_class)s)

-- name: point
UPDATE checkpointstore.cold_threads AS t
   SET key = %(key)s, first_group = p.first_group, last_group = p.last_group, first_byte = p.first_byte, end_byte = p.end_byte
  FROM unnest(%(threads)s::text[], %(olds)s::text[], %(first_group)s::int[], %(last_group)s::int[], %(first_byte)s::bigint[],
              %(end_byte)s::bigint[]) AS p (thread_id, key, first_group, last_group, first_byte, end_byte)
 WHERE t.thread_id = p.thread_id AND t.key = p.key
RETURNING t.thread_id AS thread

-- Of a thread that came back or was deleted meanwhile. Whoever deletes it has done so, or sees this afterwards.
-- name: enter
SELECT pg_advisory_xact_lock(hashtextextended('checkpointstore ' || %(thread)s, 0))

-- name: trace
INSERT INTO checkpointstore.cold_traces (thread_id, key, deleted)
SELECT t.thread_id, %(key)s, t.deleted FROM checkpointstore.cold_traces AS t
 WHERE t.thread_id = %(thread)s AND t.key = %(old)s

-- name: erase
UPDATE checkpointstore.cold_objects AS o SET erase = now()
 WHERE o.key = %(key)s AND EXISTS (SELECT FROM checkpointstore.cold_traces AS t WHERE t.key = o.key AND t.deleted)
