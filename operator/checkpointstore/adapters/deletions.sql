-- name: untold
SELECT sha256, at FROM checkpointstore.deletions WHERE NOT told ORDER BY at LIMIT %(most)s

-- name: told
UPDATE checkpointstore.deletions AS d SET told = true
  FROM unnest(%(digests)s::text[], %(times)s::timestamptz[]) AS t (sha256, at) WHERE d.sha256 = t.sha256 AND d.at = t.at

-- name: old
DELETE FROM checkpointstore.deletions WHERE told AND at < now() - %(keep)s

-- Threads by the digests of their names, hot ones by skipping from one to the next in the index.
-- name: threads
WITH RECURSIVE hot AS (
    (SELECT c.thread_id FROM public.checkpoints AS c ORDER BY c.thread_id LIMIT 1)
     UNION ALL
    SELECT (SELECT c.thread_id FROM public.checkpoints AS c WHERE c.thread_id > h.thread_id ORDER BY c.thread_id LIMIT 1)
      FROM hot AS h WHERE h.thread_id IS NOT NULL)
SELECT t.thread, t.sha256,
       greatest((SELECT max(c.checkpoint_id) FROM public.checkpoints AS c WHERE c.thread_id = t.thread),
                (SELECT max(o.newest) FROM checkpointstore.cold_threads AS o WHERE o.thread_id = t.thread)) AS newest
  FROM (SELECT n.thread, encode(sha256(convert_to(n.thread, 'utf8')), 'hex') AS sha256
          FROM (SELECT thread_id FROM hot WHERE thread_id IS NOT NULL
                 UNION SELECT thread_id FROM checkpointstore.cold_threads) AS n (thread)) AS t
 WHERE t.sha256 = ANY (%(digests)s::text[])

-- name: delete
SELECT checkpointstore.delete_thread(%(thread)s)
