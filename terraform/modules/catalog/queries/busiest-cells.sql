-- Cells by their downlink load yesterday (UTC), the busiest first.
SELECT entity_id AS cell,
       sum(mean * count) / sum(count) AS dl_prb_util_pct,
       max(p95) AS busiest_hours_p95,
       max(max) AS peak,
       sum(count) AS reports
FROM aggregates
WHERE year = date_format(current_date - INTERVAL '1' DAY, '%Y')
  AND month = date_format(current_date - INTERVAL '1' DAY, '%m')
  AND day = date_format(current_date - INTERVAL '1' DAY, '%d')
  AND kind = 'cell'
  AND signal = 'dl_prb_util_pct'
GROUP BY entity_id
ORDER BY dl_prb_util_pct DESC
LIMIT 20
