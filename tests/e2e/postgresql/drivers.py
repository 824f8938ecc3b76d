"""Clients that are Python packages. Each gives a word on what it did, or raises what is wrong."""

import asyncio
import datetime
import io

from processes import require

from .events import EVENTS, START


class NotInstalled(Exception):
    """Why a client is left out."""


FROM = START - datetime.timedelta(minutes=1)
FASTER = """
    select entity_id, event_time, vehicle_speed_kmh, brake_status from vehicle
    where event_time > %s and entity_id = %s and vehicle_speed_kmh > %s
"""
ANY = "select gear from vehicle where entity_id = any(%s) order by 1 limit %s"
COPY = "copy (select entity_id, gear from vehicle order by 2) to stdout"


def psycopg(address, key):
    import psycopg

    host, port = address.split(":")
    with psycopg.connect(host=host, port=port, user="reader", password=key, dbname="headwater") as connection:
        for _ in range(8):
            # From the sixth time on it is prepared, and has binary results if asked.
            for binary in (False, True):
                cursor = connection.cursor(binary=binary)
                rows = cursor.execute(FASTER, (FROM, "veh-1", 1)).fetchall()
                require(sorted(row[2] for row in rows) == [10.5, 42.0], f"rows {rows}")
                require(all(row[1].tzinfo for row in rows), f"times {rows}")
        rows = connection.execute(ANY, (["veh-1", "veh-2"], 3))
        require([row[0] for row in rows] == [1, 2, 4], "= any, limit")
        require(connection.execute("select 1 where %s::text is null", (None,)).fetchone() == (1,), "NULL")
        with connection.cursor("srv") as cursor:
            cursor.execute("select * from vehicle")
            require(len(cursor.fetchall()) == len(EVENTS), "named cursor")
        with connection.cursor() as cursor, cursor.copy(COPY) as copy:
            rows = list(copy.rows())
        require(rows[1] == ("veh-1", "1"), f"COPY {rows}")
        connection.rollback()
        connection.execute("set time zone 'Europe/Berlin'")
        [local] = connection.execute("select min(event_time) from vehicle").fetchone()
        require(local == START and local.utcoffset(), f"zone {local!r}")
        for statement, code in (("drop table vehicle", "25006"), ("select * from nothing", "42P01")):
            try:
                connection.execute(statement)
                raise SystemExit(f"{statement} was not refused")
            except psycopg.Error as error:
                require(error.sqlstate == code, f"{statement}: {error.sqlstate} {error}")
            connection.rollback()
    return "parameters, prepared, binary, cursor, COPY, zone, errors"


def wrong_password(address, _key):
    import psycopg

    host, port = address.split(":")
    try:
        psycopg.connect(host=host, port=port, user="reader", password="not a key", dbname="headwater")
    except psycopg.OperationalError as error:
        require("authentication failed" in str(error), str(error))
        return "refused"
    raise SystemExit("a wrong password was let in")


def asyncpg(address, key):
    import asyncpg

    async def run():
        host, port = address.split(":")
        connection = await asyncpg.connect(host=host, port=int(port), user="reader", password=key, database="headwater")
        rows = await connection.fetch(
            "select * from vehicle where event_time > $1 and entity_id = any($2::text[])", FROM, ["veh-1"]
        )
        require(len(rows) == 2 and rows[0]["event_time"].tzinfo, f"rows {rows}")
        row = await connection.fetchrow("select current_schemas(false), array[1,2]")
        require(row[0] == ["public"] and row[1] == [1, 2], f"arrays {row}")
        async with connection.transaction():
            count = 0
            async for _ in connection.cursor("select * from vehicle", prefetch=2):
                count += 1
            require(count == len(EVENTS), f"cursor {count}")
        out = io.BytesIO()
        await connection.copy_from_query("select gear from vehicle order by 1", output=out, format="csv")
        require(out.getvalue().split() == [b"0", b"1", b"2", b"3", b"4", b"5"], f"COPY {out.getvalue()}")
        try:
            await connection.fetch("select count(*) from generate_series(1, 100000000000)", timeout=0.5)
            raise SystemExit("a statement was not cancelled")
        except TimeoutError:
            pass
        require(await connection.fetchval("select 1") == 1, "after a cancelled statement")
        await connection.close()

    asyncio.run(run())
    return "parameters, arrays, cursor, COPY, cancel"


def sqlalchemy(address, key):
    import sqlalchemy as sa

    engine = sa.create_engine(f"postgresql+psycopg://reader:{key}@{address}/headwater")
    inspector = sa.inspect(engine)
    require("vehicle" in inspector.get_table_names(), f"tables {inspector.get_table_names()}")
    columns = {column["name"]: column["type"] for column in inspector.get_columns("vehicle")}
    require(isinstance(columns["vehicle_speed_kmh"], sa.Double), f"columns {columns}")
    for asked in ("pk_constraint", "indexes", "foreign_keys", "unique_constraints", "check_constraints"):
        getattr(inspector, f"get_{asked}")("vehicle")
    inspector.get_view_names()
    inspector.get_schema_names()
    require(inspector.has_table("vehicle"), "has_table")
    vehicle = sa.Table("vehicle", sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        chosen = sa.select(sa.func.count(), sa.func.max(vehicle.c.gear)).where(vehicle.c.vehicle_speed_kmh > 1)
        require(connection.execute(chosen).one() == (5, 5), "count by a reflected table")
        grouped = sa.select(vehicle.c.entity_id, sa.func.avg(vehicle.c.vehicle_speed_kmh)).group_by(vehicle.c.entity_id)
        require(len(connection.execute(grouped.order_by(vehicle.c.entity_id)).all()) == 3, "group by")
    engine.dispose()
    return "reflection, expressions"


def pandas(address, key):
    import pandas as pd
    import sqlalchemy as sa

    engine = sa.create_engine(f"postgresql+psycopg://reader:{key}@{address}/headwater")
    ordered = "select event_time, gear, vehicle_speed_kmh from vehicle order by gear"
    frame = pd.read_sql(ordered, engine, parse_dates=["event_time"])
    require(frame["gear"].tolist() == [0, 1, 2, 3, 4, 5], str(frame))
    require(str(frame["vehicle_speed_kmh"].dtype) == "float64", str(frame.dtypes))
    require(len(pd.read_sql_table("vehicle", engine)) == len(EVENTS), "read_sql_table")
    engine.dispose()
    return "read_sql, read_sql_table"


ALL = [psycopg, wrong_password, asyncpg, sqlalchemy, pandas]
