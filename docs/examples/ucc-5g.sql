-- "Beyond Throughput: The Next Generation" 5G traces (Raca et al., MMSys 2020): what a phone sees of its cell, once a
-- second, recorded with G-NetTrack Pro, as cell events. Local time without a zone, taken as UTC. CellID alone is not
-- unique; RAWCELLID is.
WITH cells AS (
    SELECT *, row_number() OVER () AS row, try_strptime(Timestamp, '%Y.%m.%d_%H.%M.%S') AS time,
           without_nulls(json_object(
               'rsrp_dbm', nullif(number(RSRP), -200), -- -200: no reading
               'rsrq_db', number(RSRQ),
               'snr_db', number(SNR),
               'cqi', number(CQI),
               'rssi_dbm', number(RSSI),
               'dl_bitrate_kbps', number(DL_bitrate),
               'ul_bitrate_kbps', number(UL_bitrate),
               'ping_avg_ms', number(PINGAVG),
               'ping_loss_pct', number(PINGLOSS),
               -- Below the lowest values that there are (3GPP TS 38.133), or 2147483647: no neighbour.
               'neighbour_rsrp_dbm', CASE WHEN number(NRxRSRP) >= -156 THEN number(NRxRSRP) END,
               'neighbour_rsrq_db', CASE WHEN number(NRxRSRQ) BETWEEN -43 AND 20 THEN number(NRxRSRQ) END,
               'speed_kmh', number(Speed),
               'longitude_deg', number(Longitude),
               'latitude_deg', number(Latitude),
               'network_mode', NetworkMode,
               'state', State
           )) AS metrics
    FROM read_csv($file, header = true, all_varchar = true, store_rejects = true, nullstr = ['', '-'])
)
SELECT
    json_object('event_time', strftime(time, '%Y-%m-%dT%H:%M:%S.%gZ'), 'entity_id', 'CELL-' || RAWCELLID,
                'entity_type', 'cell', 'schema_version', 1, 'source', 'g-nettrack', 'metrics', metrics) AS event,
    CASE WHEN time IS NULL THEN 'unreadable time'
         WHEN RAWCELLID IS NULL THEN 'no entity'
         WHEN NOT regexp_full_match(RAWCELLID, '[A-Za-z0-9._:-]{1,59}') THEN 'unusable entity'
         WHEN metrics::VARCHAR = '{}' THEN 'no signals' END AS skipped
FROM cells ORDER BY row
