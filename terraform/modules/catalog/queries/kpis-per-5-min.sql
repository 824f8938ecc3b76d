-- Counters of each cell in steps of five minutes, today (UTC). Add `AND entity_id = '…'` for one cell.
SELECT entity_id AS cell,
       from_unixtime(floor(to_unixtime(event_time) / 300) * 300) AS five_minutes,
       avg(dl_prb_util_pct) AS dl_prb_util_pct,
       avg(ul_prb_util_pct) AS ul_prb_util_pct,
       avg(rrc_conn_avg) AS rrc_conn_avg,
       max(drop_rate_pct) AS worst_drop_rate_pct,
       count(*) AS reports
FROM cell
WHERE year = date_format(current_date, '%Y')
  AND month = date_format(current_date, '%m')
  AND day = date_format(current_date, '%d')
GROUP BY 1, 2
ORDER BY 1, 2
