-- Each signal of each entity by the hour, as in aggregates/, but up to the newest event.
SELECT kind, entity_id, signal, date_trunc('hour', event_time) AS event_hour,
       count(*) AS count, sum(value) AS sum, avg(value) AS mean, min(value) AS min, max(value) AS max,
       stddev(value) AS stddev, approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS p50,
       approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY value) AS p95,
       approx_percentile_cont(0.99) WITHIN GROUP (ORDER BY value) AS p99
FROM points
GROUP BY kind, entity_id, signal, date_trunc('hour', event_time)
