"""Clients that are programs of their own: psql, JDBC, node's pg."""

import os
import pathlib
import shutil
import subprocess

from processes import require

from .drivers import NotInstalled
from .events import EVENTS

HERE = pathlib.Path(__file__).parent
JDBC = pathlib.Path("/usr/share/java/postgresql.jar")


def run(command, env=None, stdin=None):
    done = subprocess.run(
        command, env=os.environ | (env or {}), input=stdin, capture_output=True, text=True, timeout=120
    )
    told = f"{done.stdout[-1500:]} {done.stderr[-3000:]}"
    require(done.returncode == 0, f"{' '.join(command[-2:])} ended with {done.returncode}: {told}")
    return done.stdout


# Each with a word that its answer must have.
COMMANDS = {
    r"\l": "headwater",
    r"\dt": "vehicle",
    r"\d": "vehicle",
    r"\d vehicle": "timestamp with time zone",
    r"\dv": "",
    r"\dn": "public",
    r"\df": "",
    r"\du": "reader",
    r"\dT": "",
    r"\dx": "",
    r"\di": "",
    r"\dp": "",
    r"\db": "pg_default",
    r"\conninfo": "reader",
    "select count(*) from vehicle": str(len(EVENTS)),
    "explain select count(*) from vehicle": "plan",
    "show server_version": "15",
    r"\copy (select entity_id, gear from vehicle order by 2) to stdout csv": "veh-2,2",
}


def psql(address, key):
    if not shutil.which("psql"):
        raise NotInstalled("there is no psql (Debian: apt-get install postgresql-client)")
    host, port = address.split(":")
    base = ["psql", "-X", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", port, "-U", "reader", "-d", "headwater"]
    for command, expected in COMMANDS.items():
        told = run([*base, "-c", command], {"PGPASSWORD": key})
        require(expected in told, f"{command} answered {told}")
    return f"{len(COMMANDS)} commands"


def jdbc(address, key):
    if not shutil.which("java"):
        raise NotInstalled("there is no java")
    if not JDBC.exists():
        raise NotInstalled(f"there is no {JDBC} (Debian: apt-get install libpostgresql-jdbc-java)")
    return run(["java", "-cp", str(JDBC), str(HERE / "Jdbc.java"), address, key]).strip()


def node(address, key):
    if not shutil.which("node"):
        raise NotInstalled("there is no node")
    try:
        run(["node", "-e", "require('pg')"])
    except SystemExit:
        raise NotInstalled("node finds no pg (npm install pg, and NODE_PATH)") from None
    return run(["node", str(HERE / "pg.cjs"), address, key]).strip()


ALL = [psql, jdbc, node]
