-- Each signal of each entity by five minutes.
SELECT kind, entity_id, signal, date_bin(INTERVAL '5 minutes', event_time) AS start,
       count(value) AS count, avg(value) AS avg, min(value) AS min, max(value) AS max,
       last_value(value ORDER BY event_time) AS last
FROM points
GROUP BY kind, entity_id, signal, date_bin(INTERVAL '5 minutes', event_time)
