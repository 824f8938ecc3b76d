-- "Beyond Throughput: The Next Generation" 5G traces (Raca et al., MMSys 2020): what a phone sees of its cell, once a
-- second, recorded with G-NetTrack Pro, as cell events. Local time without a zone, taken as UTC. CellID alone is not
-- unique; RAWCELLID is.
--
--     HEADWATER_API_KEY=… import 'Download/**/*.csv.gz' --kind cell --sql docs/examples/ucc-5g.sql
--
-- `-` is a missing value. -200 dBm and neighbours below the lowest values that there are (3GPP TS 38.133), or at
-- 2147483647, are no readings.
WITH readings AS (
    SELECT
        row,
        file || ':' || row AS event_id,
        instant("Timestamp", '%Y.%m.%d_%H.%M.%S') AS event_time,
        nullif(RAWCELLID, '-') AS cell,
        nullif(number(nullif(RSRP, '-')), -200) AS rsrp_dbm,
        number(nullif(RSRQ, '-')) AS rsrq_db,
        number(nullif(SNR, '-')) AS snr_db,
        number(nullif(CQI, '-')) AS cqi,
        number(nullif(RSSI, '-')) AS rssi_dbm,
        number(nullif(DL_bitrate, '-')) AS dl_bitrate_kbps,
        number(nullif(UL_bitrate, '-')) AS ul_bitrate_kbps,
        number(nullif(PINGAVG, '-')) AS ping_avg_ms,
        number(nullif(PINGLOSS, '-')) AS ping_loss_pct,
        CASE WHEN number(nullif(NRxRSRP, '-')) >= -156 THEN number(nullif(NRxRSRP, '-')) END AS neighbour_rsrp_dbm,
        CASE WHEN number(nullif(NRxRSRQ, '-')) BETWEEN -43 AND 20 THEN number(nullif(NRxRSRQ, '-')) END
            AS neighbour_rsrq_db,
        number(nullif(Speed, '-')) AS speed_kmh,
        number(nullif(Longitude, '-')) AS longitude_deg,
        number(nullif(Latitude, '-')) AS latitude_deg,
        nullif(NetworkMode, '-') AS network_mode,
        nullif(State, '-') AS state
    FROM input
)
SELECT
    * EXCEPT (cell),
    'CELL-' || cell AS entity_id,
    'cell' AS entity_type,
    1 AS schema_version,
    'g-nettrack' AS source,
    CASE
        WHEN event_time IS NULL THEN 'unreadable time'
        WHEN cell IS NULL THEN 'no entity'
        WHEN NOT regexp_like(cell, '^[A-Za-z0-9._:-]{1,59}$') THEN 'unusable entity'
        WHEN coalesce(rsrp_dbm, rsrq_db, snr_db, cqi, rssi_dbm, dl_bitrate_kbps, ul_bitrate_kbps, ping_avg_ms,
            ping_loss_pct, neighbour_rsrp_dbm, neighbour_rsrq_db, speed_kmh, longitude_deg, latitude_deg) IS NULL
            AND coalesce(network_mode, state) IS NULL THEN 'no signals'
    END AS skipped
FROM readings
