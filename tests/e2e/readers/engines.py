"""The four readers. Each opens the lake as docs/readers.md says, and counts and averages in its own way.

All give the same: a kind's columns with their types in one spelling, and rows of figures for each hour and entity, and
each value of the columns `by`, in which `count <column>`, `mean <column>`, `min <column>` and `max <column>` are a
column's.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import textwrap

from readers.page import Page

GROUP = ["year", "month", "day", "hour", "entity_id"]

# Columns of aggregates/ that are compared; `sketch` and `texts` are for the aggregator alone.
AGGREGATE = ["kind", "year", "month", "day", "hour", "entity_id", "signal", "unit", "messages", "count", "min", "max",
             "mean", "stddev", "p50", "p95", "p99"]  # fmt: skip


class DuckDB:
    heading = "DuckDB"

    def __init__(self, path, scratch):
        # DuckDB fetches what it needs for S3 from its makers and keeps it under the home folder; here a package has it.
        import duckdb
        import duckdb_extension_httpfs

        self.version = duckdb.__version__
        home = scratch / "duckdb"
        (platform,) = duckdb.sql("PRAGMA platform").fetchone()
        extensions = home / ".duckdb/extensions" / f"v{self.version}" / platform
        if not extensions.exists():
            extensions.mkdir(parents=True)
            packaged = pathlib.Path(duckdb_extension_httpfs.__file__).parent / f"extensions/v{self.version}"
            shutil.copy(packaged / "httpfs.duckdb_extension", extensions)
        with environment(HOME=str(home)):
            self.page = Page(path, self.heading)
            self.names = self.page.read()

    def rows(self, relation):
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]

    def columns(self, relation):
        spelling = {"VARCHAR": "string", "BIGINT": "bigint", "INTEGER": "int", "DOUBLE": "double", "BOOLEAN": "boolean"}
        spelling["TIMESTAMP WITH TIME ZONE"] = "timestamp"
        return {name: spelling.get(str(of), str(of)) for name, of in zip(relation.columns, relation.types, strict=True)}

    def figures(self, relation, numbers, texts, by=()):
        wanted = ["count(*) AS messages"] + [f'count("{name}") AS "count {name}"' for name in numbers + texts]
        for name in numbers:
            value = f'CAST("{name}" AS DOUBLE)'
            wanted += [f'avg({value}) AS "mean {name}", min({value}) AS "min {name}", max({value}) AS "max {name}"']
        group = [*GROUP, *by]
        return relation.aggregate(", ".join(group + wanted), ", ".join(group))

    def selected(self, relation):
        return relation.project(", ".join(f'"{name}"' for name in AGGREGATE))


class Polars:
    heading = "Polars"

    def __init__(self, path, scratch):
        import polars

        self.pl, self.version = polars, polars.__version__
        self.page = Page(path, self.heading)
        self.names = self.page.read()

    def rows(self, frame):
        return frame.collect().to_dicts()

    def columns(self, frame):
        spelling = {"String": "string", "Int64": "bigint", "Int32": "int", "Float64": "double", "Boolean": "boolean"}
        schema = frame.collect_schema()
        return {
            name: "timestamp" if isinstance(of, self.pl.Datetime) else spelling.get(str(of), str(of))
            for name, of in schema.items()
        }

    def figures(self, frame, numbers, texts, by=()):
        wanted = [self.pl.len().alias("messages")]
        wanted += [self.pl.col(name).count().alias(f"count {name}") for name in numbers + texts]
        for name in numbers:
            value = self.pl.col(name).cast(self.pl.Float64)
            wanted += [value.mean().alias(f"mean {name}"), value.min().alias(f"min {name}")]
            wanted += [value.max().alias(f"max {name}")]
        return frame.group_by([*GROUP, *by]).agg(wanted)

    def selected(self, frame):
        return frame.select(AGGREGATE)


class PyArrow:
    heading = "PyArrow"

    def __init__(self, path, scratch):
        import pyarrow

        self.pa, self.version = pyarrow, pyarrow.__version__
        self.page = Page(path, self.heading)
        self.names = self.page.read()

    def rows(self, table):
        return table.to_pylist()

    def columns(self, dataset):
        spelling = {"string": "string", "int64": "bigint", "int32": "int", "double": "double", "bool": "boolean"}
        return {
            field.name: "timestamp"
            if self.pa.types.is_timestamp(field.type)
            else spelling.get(str(field.type), str(field.type))
            for field in dataset.schema
        }

    def figures(self, dataset, numbers, texts, by=()):
        group = [*GROUP, *by]
        table = dataset.to_table(columns=group + numbers + texts)
        for name in numbers:
            at = table.column_names.index(name)
            table = table.set_column(at, name, table[name].cast("float64"))
        wanted, heads = [([], "count_all")], {"count_all": "messages"}
        for name in numbers + texts:
            for of in ("count", "mean", "min", "max") if name in numbers else ("count",):
                wanted.append((name, of))
                heads[f"{name}_{of}"] = f"{of} {name}"
        return table.group_by(group).aggregate(wanted).rename_columns(heads)

    def selected(self, dataset):
        return dataset.to_table(columns=AGGREGATE)


class PySpark:
    heading = "PySpark"

    # Small data: no time for plans that adapt, nor for code compiled for each of them.
    SETTINGS = """
        spark.master local[2]
        spark.driver.host 127.0.0.1
        spark.driver.bindAddress 127.0.0.1
        spark.ui.enabled false
        spark.ui.showConsoleProgress false
        spark.sql.shuffle.partitions 2
        spark.sql.adaptive.enabled false
        spark.sql.codegen.wholeStage false
        spark.sql.codegen.factoryMode NO_CODEGEN
        """
    LOGGING = """
        appender.none.type = Null
        appender.none.name = none
        rootLogger.level = off
        rootLogger.appenderRef.none.ref = none
        """

    def __init__(self, path, scratch):
        import pyspark

        self.version = pyspark.__version__
        self.page = Page(path, self.heading)
        copies = len(list(scratch.glob("copy-*")))
        with environment(LAKE_COPY=str(scratch / f"copy-{copies}")):
            self.names = self.page.read()

    @classmethod
    def warm(cls, scratch):
        """Starts Spark and lets it load its classes, so that the first answer need not wait for that."""
        conf = scratch / "spark"
        conf.mkdir()
        (conf / "spark-defaults.conf").write_text(textwrap.dedent(cls.SETTINGS))
        (conf / "log4j2.properties").write_text(textwrap.dedent(cls.LOGGING))
        os.environ |= {"SPARK_CONF_DIR": str(conf), "SPARK_LOCAL_IP": "127.0.0.1"}
        from pyspark.sql import SparkSession

        spark = SparkSession.builder.getOrCreate()
        numbers = str(scratch / "numbers.parquet")
        spark.range(10).write.parquet(numbers)
        spark.read.parquet(numbers).groupBy("id").count().collect()

    @staticmethod
    def missing():
        """Why Spark cannot run here, or nothing."""
        java = shutil.which("java")
        if "JAVA_HOME" in os.environ:
            java = pathlib.Path(os.environ["JAVA_HOME"], "bin/java")
        if not java:
            return "there is no Java (Debian: apt-get install openjdk-17-jre-headless)"
        try:
            subprocess.run([java, "-version"], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(f"readers failed: {java} does not run: {error}") from error
        return None

    def rows(self, frame):
        return [row.asDict() for row in frame.collect()]

    def columns(self, frame):
        return dict(frame.dtypes)

    def figures(self, frame, numbers, texts, by=()):
        functions = self.names["F"]
        wanted = [functions.count("*").alias("messages")]
        wanted += [functions.count(name).alias(f"count {name}") for name in numbers + texts]
        for name in numbers:
            value = functions.col(name).cast("double")
            wanted += [functions.avg(value).alias(f"mean {name}"), functions.min(value).alias(f"min {name}")]
            wanted += [functions.max(value).alias(f"max {name}")]
        return frame.groupBy(*GROUP, *by).agg(*wanted)

    def selected(self, frame):
        return frame.select(*AGGREGATE)


ENGINES = (DuckDB, Polars, PyArrow, PySpark)


@contextlib.contextmanager
def environment(**values):
    """These environment variables while it lasts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
