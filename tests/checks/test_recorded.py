"""The queries of docs/examples on made-up rows in the shapes of the recordings that they are for."""

import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent.parent / "docs/examples"

TRIP = """Time,Engine Coolant Temperature [Â°C],Pressure,Engine RPM [RPM],Speed,Intake,Air,Throttle,Ambient,D,E
23:59:59.900,,,,,,,,,,
23:59:59.950,20,101.0,812.5,0.0,18.0,2.5,12.5,17.0,14.5,14.5
00:00:00.050,21,99.0,NaN,12.0,-40.0,6.25,18.0,-40,20.0,20.5
23:59:59.990,21,99.0,900,12.0,150.0,6.25,18.0,17.0,20.0,20.5
not a time,21,99.0,900,12.0,19.0,6.25,18.0,17.0,20.0,20.5
00:00:01.000,21,99.0
"""

CELL = """Timestamp,Longitude,Latitude,Speed,Operatorname,CellID,NetworkMode,RSRP,RSRQ,SNR,CQI,RSSI,DL_bitrate,UL_bitrate,State,\
PINGAVG,PINGMIN,PINGMAX,PINGSTDEV,PINGLOSS,CELLHEX,NODEHEX,LACHEX,RAWCELLID,NRxRSRP,NRxRSRQ
2031.05.17_09.00.01,1.5,2.25,2,B,7,LTE,-200,-12,-,-,-,0,0,I,24.5,20,30,2.5,0,7,AB,CD,700002,-160.0,2147483647
2031.05.17_09.00.02,1.5,2.25,2,B,0,HSPA+,-95,7,-,-,-,10,2,D,-,-,-,-,-,-,-,-,-,-,-
2031.05.17_09.00.03,1.5,2.25,2,B,0,HSPA+,-95,7,-,-,-,10,2,D,-,-,-,-,-,-,-,-,7/3,-,-
2031.05.17 09:00:04,1.5,2.25,2,B,7,5G,-95,7,-,-,-,10,2,D,-,-,-,-,-,7,AB,CD,700002,-,-
"""


def converted(query, name, rows):
    """The events of one file, and what the script says of it."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = pathlib.Path(folder, "in"), pathlib.Path(folder, "out")
        source.mkdir()
        with gzip.open(source / f"{name}.csv.gz", "wt", encoding="utf-8") as file:
            file.write(rows)
        command = [sys.executable, EXAMPLES / "recorded.py", EXAMPLES / query, source, out]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return [json.loads(line) for line in (out / f"{name}.ndjson").read_text().splitlines()], said


class Recorded(unittest.TestCase):
    def test_a_trip_over_midnight_keeps_its_days_and_leaves_out_what_is_no_reading(self):
        events, said = converted("obd2-kit.sql", "2031-05-17_Made_Up_Car", TRIP)
        self.assertIn("6 rows, 3 events, no signals 1, too few or too many cells 1, unreadable time 1", said)
        times = [event["timestamp"] for event in events]
        self.assertEqual(times, ["2031-05-17T23:59:59.950Z", "2031-05-18T00:00:00.050Z", "2031-05-17T23:59:59.990Z"])
        self.assertEqual((events[0]["vehicle_id"], events[0]["can_id"]), ("seat-leon", "0x7E8"))
        self.assertEqual(len(events[0]["payload"]), 10)
        absent = {"engine_rpm", "intake_air_temp_c", "ambient_temp_c"}
        self.assertEqual(events[0]["payload"].keys() - events[1]["payload"].keys(), absent)
        self.assertNotIn("intake_air_temp_c", events[2]["payload"])

    def test_a_row_of_radio_figures_has_its_cell_and_no_marks_of_missing_values(self):
        [event], said = converted("ucc-5g.sql", "B_2031.05.17_09.00.01", CELL)
        self.assertIn("4 rows, 1 events, no entity 1, unreadable time 1, unusable entity 1", said)
        self.assertEqual((event["entity_id"], event["event_time"]), ("CELL-700002", "2031-05-17T09:00:01.000Z"))
        figures = {"rsrq_db": -12, "dl_bitrate_kbps": 0, "ul_bitrate_kbps": 0, "ping_avg_ms": 24.5, "ping_loss_pct": 0}
        place = {"speed_kmh": 2, "longitude_deg": 1.5, "latitude_deg": 2.25, "network_mode": "LTE", "state": "I"}
        self.assertEqual(event["metrics"], figures | place)


if __name__ == "__main__":
    unittest.main()
