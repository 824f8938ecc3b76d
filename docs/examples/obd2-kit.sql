-- "Automotive OBD-II Dataset" (Marc Weber, KIT, DOI 10.35097/1130): one car, about ten rows a second, as vehicle
-- events. A row has the time of day, taken as UTC; the date is in the file's name, `2017-07-05_Seat_Leon_….csv.gz`.
-- Columns are named here by their order: half of the files write the degree sign of their headers as "Â°".
WITH cells AS (
    SELECT row_number() OVER () AS row, *,
           regexp_extract($file, '(\d{4}-\d{2}-\d{2})_[^/]*$', 1)::DATE + try_cast(time AS TIME) AS clock
    FROM read_csv(
        $file, header = true, all_varchar = true, store_rejects = true, nullstr = ['', '-'],
        names = ['time', 'coolant_temp', 'intake_pressure', 'engine_rpm', 'vehicle_speed', 'intake_air_temp',
                 'air_flow', 'throttle', 'ambient_temp', 'pedal_d', 'pedal_e']
    )
),
-- A clock that falls back by more than half a day has passed midnight; a smaller step back is a clock that was set.
-- A clock that springs ahead by nearly a day was set back over a midnight just passed.
midnights AS (
    SELECT row, CASE
        WHEN clock - lag(clock) OVER (ORDER BY row) < INTERVAL '-12 hours' THEN 1
        WHEN clock - lag(clock) OVER (ORDER BY row) > INTERVAL '23 hours' THEN -1
        ELSE 0 END AS passed
    FROM cells WHERE clock IS NOT NULL
),
days AS (SELECT row, sum(passed) OVER (ORDER BY row)::INTEGER AS day FROM midnights),
events AS (
    SELECT
        row,
        clock + to_days(day) AS time,
        -- -40 °C is a byte of 0, no temperature; the intake's jumps to both ends of its range in nearly every trip.
        without_nulls(json_object(
            'coolant_temp_c', nullif(number(coolant_temp), -40),
            'intake_pressure_kpa', number(intake_pressure),
            'engine_rpm', number(engine_rpm),
            'vehicle_speed_kmh', number(vehicle_speed),
            'intake_air_temp_c',
            CASE WHEN number(intake_air_temp) <= 120 THEN nullif(number(intake_air_temp), -40) END,
            'air_flow_gps', number(air_flow),
            'throttle_pct', number(throttle),
            'ambient_temp_c', nullif(number(ambient_temp), -40),
            'accelerator_pedal_pct', number(pedal_d),
            'accelerator_pedal_e_pct', number(pedal_e)
        )) AS payload
    FROM cells LEFT JOIN days USING (row)
)
SELECT
    -- The logger asks for one value after the other; the answers come from the engine's control unit, 0x7E8.
    json_object('timestamp', strftime(time, '%Y-%m-%dT%H:%M:%S.%gZ'), 'vehicle_id', 'seat-leon', 'can_id', '0x7E8',
                'payload', payload) AS event,
    CASE WHEN time IS NULL THEN 'unreadable time' WHEN payload::VARCHAR = '{}' THEN 'no signals' END AS skipped
FROM events ORDER BY row
