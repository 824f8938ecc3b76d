-- Each stream as its last stream_meta says.
SELECT stream_id, title, category, "language", channel, live, updated_at
FROM (
  SELECT entity_id AS stream_id, title, category, "language", channel, live, event_time AS updated_at,
         row_number() OVER (PARTITION BY entity_id ORDER BY event_time DESC, event_id DESC) AS place
  FROM stream_meta
) AS told
WHERE place = 1
