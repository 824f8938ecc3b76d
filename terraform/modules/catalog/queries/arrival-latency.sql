-- Seconds from an event to its arrival at ingest, by kind and event hour, yesterday (UTC). An event that waited in a
-- vehicle for hours counts with those hours. Time in the queue is a metric: QueueLatencySeconds.
SELECT kind,
       hour,
       approx_percentile(seconds, 0.5) AS p50,
       approx_percentile(seconds, 0.95) AS p95,
       approx_percentile(seconds, 0.99) AS p99,
       count(*) AS events
FROM (
  SELECT 'vehicle' AS kind, year, month, day, hour, to_unixtime(ingest_received_at) - to_unixtime(event_time) AS seconds
  FROM vehicle
  UNION ALL
  SELECT 'cell', year, month, day, hour, to_unixtime(ingest_received_at) - to_unixtime(event_time)
  FROM cell
) AS arrivals
WHERE year = date_format(current_date - INTERVAL '1' DAY, '%Y')
  AND month = date_format(current_date - INTERVAL '1' DAY, '%m')
  AND day = date_format(current_date - INTERVAL '1' DAY, '%d')
GROUP BY kind, hour
ORDER BY kind, hour
