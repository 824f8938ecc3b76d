-- Counters of each cell by five minutes.
SELECT entity_id, date_bin(INTERVAL '5 minutes', event_time) AS bucket_start,
       avg(dl_prb_util_pct) AS dl_prb_util_pct, avg(ul_prb_util_pct) AS ul_prb_util_pct,
       avg(rrc_conn_avg) AS rrc_conn_avg, max(drop_rate_pct) AS max_drop_rate_pct, count(*) AS reports
FROM cell
GROUP BY entity_id, date_bin(INTERVAL '5 minutes', event_time)
