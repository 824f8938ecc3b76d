-- "Automotive OBD-II Dataset" (Marc Weber, KIT, DOI 10.35097/1130): one car, about ten rows a second, as vehicle
-- events. A row has the time of day, taken as UTC; the date is in the file's name, `2017-07-05_Seat_Leon_….csv.gz`.
--
--     HEADWATER_API_KEY=… import 'trips/*.csv.gz' --kind vehicle --sql docs/examples/obd2-kit.sql
--
-- The columns get names by their order: half of the files write the degree sign of their headers as "Â°".
-- import: --names day_time,coolant,intake_kpa,rpm,speed,intake_c,air_flow,throttle,ambient,pedal_d,pedal_e
WITH clocks AS (
    SELECT *, instant(substr(file, 1, 10) || ' ' || day_time, '%Y-%m-%d %H:%M:%S%.f') AS clock
    FROM input
),
-- A clock that falls back by more than half a day has passed midnight; a smaller step back is a clock that was set.
-- A clock that springs ahead by nearly a day was set back over a midnight just passed.
steps AS (
    SELECT *, lag(clock) IGNORE NULLS OVER (ORDER BY row) AS before
    FROM clocks
),
days AS (
    SELECT *, sum(CASE
        WHEN clock < before - INTERVAL '12 hours' THEN 1
        WHEN clock > before + INTERVAL '23 hours' THEN -1
        ELSE 0 END) OVER (ORDER BY row ROWS UNBOUNDED PRECEDING) AS midnights
    FROM steps
),
-- -40 °C is a byte of 0, no temperature; the intake's jumps to both ends of its range in nearly every trip.
readings AS (
    SELECT
        row,
        file || ':' || row AS event_id,
        clock + seconds(midnights * 86400) AS timestamp,
        nullif(number(coolant), -40) AS coolant_temp_c,
        number(intake_kpa) AS intake_pressure_kpa,
        number(rpm) AS engine_rpm,
        number(speed) AS vehicle_speed_kmh,
        CASE WHEN number(intake_c) <= 120 THEN nullif(number(intake_c), -40) END AS intake_air_temp_c,
        number(air_flow) AS air_flow_gps,
        number(throttle) AS throttle_pct,
        nullif(number(ambient), -40) AS ambient_temp_c,
        number(pedal_d) AS accelerator_pedal_pct,
        number(pedal_e) AS accelerator_pedal_e_pct
    FROM days
)
-- The logger asks for one value after the other; the answers come from the engine's control unit, 0x7E8.
SELECT
    *,
    'seat-leon' AS vehicle_id,
    '0x7E8' AS can_id,
    CASE
        WHEN timestamp IS NULL THEN 'unreadable time'
        WHEN coalesce(coolant_temp_c, intake_pressure_kpa, engine_rpm, vehicle_speed_kmh, intake_air_temp_c, air_flow_gps,
            throttle_pct, ambient_temp_c, accelerator_pedal_pct, accelerator_pedal_e_pct) IS NULL THEN 'no signals'
    END AS skipped
FROM readings
