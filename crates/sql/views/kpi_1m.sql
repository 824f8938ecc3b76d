-- Each signal of each entity by the minute.
SELECT kind, entity_id, signal, date_bin(INTERVAL '1 minute', event_time) AS start,
       count(value) AS count, avg(value) AS avg, min(value) AS min, max(value) AS max,
       last_value(value ORDER BY event_time) AS last
FROM points
GROUP BY kind, entity_id, signal, date_bin(INTERVAL '1 minute', event_time)
