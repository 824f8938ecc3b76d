-- Cells by their downlink load in the last hour, the busiest first. The limit keeps the order: without one a planner
-- may drop the order of a view.
SELECT entity_id, avg(dl_prb_util_pct) AS dl_prb_util_pct, max(dl_prb_util_pct) AS peak, count(*) AS reports
FROM cell
WHERE event_time >= now() - INTERVAL '1 hour'
GROUP BY entity_id
ORDER BY dl_prb_util_pct DESC
LIMIT 1000
