"""The tables of terraform/modules/catalog held against the files that the pipeline wrote.

Athena finds columns by name and refuses a file whose column has another type than the table's.
"""

import json
import re

from checkout import Repo

KINDS = "terraform/modules/catalog/kinds.tf"

# What a Parquet column is, by its Glue type: physical type, and logical type as PyArrow spells it.
PARQUET = {
    "string": r"BYTE_ARRAY String",
    "double": r"DOUBLE None",
    "bigint": r"INT64 (None|Int\(bitWidth=64, isSigned=true\))",
    "boolean": r"BOOLEAN None",
    "timestamp": r"INT64 Timestamp\(.*timeUnit=(milliseconds|microseconds),.*\)",
}

# A JSON value of each Glue type.
JSON = {"string": (str,), "double": (int, float), "bigint": (int,), "map<string,string>": (dict,)}

ENTRY = re.compile(r'\{ name = "(\w+)", type = "([\w<>,]+)"')


class Tables:
    """The columns of each table, name to Glue type, of the built-in kinds."""

    def __init__(self, root):
        self.repo = Repo(root)
        types = dict(re.findall(r'(\w+) = "(\w+)"', self.repo.block(KINDS, r"^  glue_types = \{")))
        raw_types = types | dict(re.findall(r'(\w+) = "([\w<>,]+)"', self.repo.block(KINDS, r"^  raw_types = merge\(")))
        # Of signals.
        self.types = types | dict(re.findall(r'(\w+) = "(\w+)"', self.repo.block(KINDS, r"^  signal_types = merge\(")))
        shared = dict(ENTRY.findall(self.repo.block(KINDS, r"^  curated_columns = \{")))
        built_in = self.repo.block(KINDS, r"^  built_in = \{")
        self.curated = {}
        # Declared type in `type`; the table has it as `glue_types` and `signal_types` say.
        for kind in re.findall(r"^    (\w+) = \{", built_in, re.M):
            fields, signals = self.repo.block(KINDS, rf"^    {kind} = \{{").split("signals = [")
            self.curated[kind] = shared | {name: types[of] for name, of in ENTRY.findall(fields)}
            self.curated[kind] |= {name: self.types[of] for name, of in ENTRY.findall(signals)}
        self.aggregates = dict(ENTRY.findall(self.repo.block(KINDS, r"^  aggregate_columns = \[")))
        self.raw = dict(ENTRY.findall(self.repo.block(KINDS, r"^  raw_columns = concat\(")))
        for name in ("entity_field", "time_field"):
            self.raw |= dict.fromkeys(re.findall(rf'{name}\s*= "(\w+)"', built_in), "string")
        self.raw |= dict.fromkeys(re.findall(r'signals_field\s*= "(\w+)"', built_in), "map<string,string>")
        # Fields other than signals: the table of raw/ has them too.
        for fields in re.findall(r"fields = \[(.*?)\]", built_in, re.S):
            self.raw |= {name: raw_types[of] for name, of in ENTRY.findall(fields)}


def curated_differs(kind, columns, undeclared, schemas):
    """A kind's table against the schemas of its files, key to Parquet schema. Columns in `undeclared`, from
    `_schema/`, a deployment names itself."""
    known, met = columns | undeclared, set()
    for key, schema in schemas.items():
        for at in range(len(schema)):
            column = schema.column(at)
            found = f"{column.physical_type} {column.logical_type}"
            # Values of another type than the first: `level__text` beside `level`.
            if column.name not in known and column.name.rpartition("__")[0] in undeclared:
                continue
            if column.name not in known:
                yield f"{kind}: {key} has a column {column.name}, which the table lacks"
            elif not re.fullmatch(PARQUET[known[column.name]], found):
                yield f"{kind}: {column.name} is {found} in {key}, {known[column.name]} in the table"
            met.add(column.name)
    # No file has `_more` before its kind has all the undeclared names that may have a column.
    for name in sorted(columns.keys() - met - {"_more"}):
        yield f"{kind}: the table has a column {name}, which no file has"


def lines_differ(table, columns, lines):
    """A table over JSON lines against the lines: every column is met, and each value is of its type or null."""
    met = set()
    for line in lines:
        for name, of in columns.items():
            value = line.get(name)
            if name in line:
                met.add(name)
            if value is not None and (not isinstance(value, JSON[of]) or isinstance(value, bool)):
                yield f"{table}: {name} is {value!r} in a line, {of} in the table"
        for name in sorted(line.keys() - columns.keys()):
            yield f"{table}: a line has {name}, which the table lacks"
    for name in sorted(columns.keys() - met):
        yield f"{table}: the table has a column {name}, which no line has"


def undeclared(s3, bucket, kind, types):
    """The columns of signals that no declaration names, as `_schema/` keeps them."""
    key = f"_schema/{kind}.json"
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
    if not listed:
        return {}
    kept = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())["signals"].values()
    return {column["name"]: types["string" if column["type"] == "text" else column["type"]] for column in kept}


def check(root, s3, s3fs, bucket, keys):
    """All the tables; gives what differs, in words, and prints what was compared."""
    from pyarrow import parquet

    tables = Tables(root)
    found = []
    for kind, columns in tables.curated.items():
        files = keys(s3, bucket, f"curated/kind={kind}/")
        schemas = {key: parquet.read_metadata(s3fs.open_input_file(f"{bucket}/{key}")).schema for key in files}
        own = undeclared(s3, bucket, kind, tables.types)
        found += curated_differs(kind, columns, own, schemas)
        print(f"table {kind:<12} {len(columns):>3} columns and {len(own)} undeclared, held against {len(files)} files")
    for table, columns, ours in (
        ("aggregates", tables.aggregates, lambda line: True),
        # The kinds of CONTRACTS have fields of their own, which a deployment names in `kinds`.
        ("raw", tables.raw, lambda line: line["kind"] in tables.curated),
    ):
        lines = [
            line
            for key in keys(s3, bucket, f"{table}/")
            if key.endswith(".jsonl")
            for line in map(json.loads, s3.get_object(Bucket=bucket, Key=key)["Body"].read().splitlines())
            if ours(line)
        ]
        found += lines_differ(table, columns, lines)
        print(f"table {table:<12} {len(columns):>3} columns, held against {len(lines)} lines")
    return found
