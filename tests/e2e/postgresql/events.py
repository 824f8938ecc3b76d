"""Six events of three vehicles, an hour apart within today."""

import datetime
import json

# The hour before this one: late enough to be on time, early enough not to be in the future.
START = datetime.datetime.now(datetime.UTC).replace(minute=0, second=0, microsecond=0) - datetime.timedelta(hours=1)

EVENTS = [
    {
        "vehicle_id": f"veh-{number % 3}",
        "timestamp": (START + datetime.timedelta(minutes=number)).isoformat().replace("+00:00", "Z"),
        "can_id": "0x1F0",
        "payload": {"vehicle_speed_kmh": number * 10.5, "brake_status": number % 2 == 0, "gear": number},
    }
    for number in range(6)
]


def lines():
    return "".join(json.dumps(event) + "\n" for event in EVENTS)
