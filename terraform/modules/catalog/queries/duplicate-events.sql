-- Events that arrived more than once today (UTC): in raw/ each arrival stands, in the kinds' tables each event once.
-- The same id in two event hours is two events; the first 13 characters of its time name an event's hour (times with an
-- offset other than UTC may be told apart where they are the same).
SELECT kind,
       event_id,
       substr(coalesce("timestamp", event_time), 1, 13) AS event_hour,
       count(*) AS arrivals,
       min(ingest_received_at) AS first_received_at,
       max(ingest_received_at) AS last_received_at
FROM raw
WHERE year = date_format(current_date, '%Y')
  AND month = date_format(current_date, '%m')
  AND day = date_format(current_date, '%d')
GROUP BY 1, 2, 3
HAVING count(*) > 1
ORDER BY arrivals DESC
LIMIT 100
