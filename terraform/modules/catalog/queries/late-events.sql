-- Events of the last seven days (UTC) that arrived more than an hour after they happened.
SELECT kind,
       date_trunc('hour', event_time) AS event_hour,
       count(*) AS late_events,
       count(DISTINCT entity_id) AS entities,
       max(to_unixtime(ingest_received_at) - to_unixtime(event_time)) / 3600 AS latest_by_hours
FROM (
  SELECT 'vehicle' AS kind, year, month, day, entity_id, event_time, ingest_received_at
  FROM vehicle
  UNION ALL
  SELECT 'cell', year, month, day, entity_id, event_time, ingest_received_at
  FROM cell
) AS events
WHERE concat(year, '-', month, '-', day) >= date_format(current_date - INTERVAL '7' DAY, '%Y-%m-%d')
  AND year >= date_format(current_date - INTERVAL '7' DAY, '%Y')
  AND ingest_received_at > event_time + INTERVAL '1' HOUR
GROUP BY 1, 2
ORDER BY 2 DESC, 1
