"""What readers.py would find: figures and tables spoilt in one place each, without a pipeline and without the readers.

tests/python -m unittest discover -s tests/e2e
"""

import unittest
from dataclasses import dataclass
from pathlib import Path

from readers import figures, glue, page

ROOT = Path(__file__).resolve().parents[2]

# A row of aggregates/, and what a reader makes of the same events.
LINE = {
    "kind": "meter", "event_hour": "2026-01-01T05:00:00Z", "entity_id": "m-1", "signal": "level", "unit": "1", "messages": 4,
    "count": 2, "min": 1.0, "max": 2.0, "mean": 1.5, "stddev": 0.5, "p50": 1.5, "p95": 1.95, "p99": 1.99,
}  # fmt: skip
KEY = ("meter", "2026-01-01T05", "m-1", "level")
PLACE = {"year": 2026, "month": 1, "day": 1, "hour": 5, "entity_id": "m-1"}
READ = PLACE | {
    "messages": 4, "count level": 2, "mean level": 1.5, "min level": 1.0, "max level": 2.0, "count level__text": 2,
}  # fmt: skip


@dataclass
class Column:
    name: str
    physical_type: str
    logical_type: str = "None"


class Schema(list):
    def column(self, at):
        return self[at]


class Figures(unittest.TestCase):
    def differences(self, **changes):
        found = figures.melted([READ | changes], "meter", ["level", "level__text"])
        return list(figures.differences(found, figures.figures({KEY: LINE}, "meter")))

    def test_the_same_figures_do_not_differ(self):
        self.assertEqual(self.differences(), [])
        self.assertEqual(self.differences(**{"mean level": 1.5 * (1 + 1e-12)}), [])

    def test_each_other_figure_is_told(self):
        for name, value in (
            ("messages", 3),
            ("count level", 1),
            ("mean level", 1.50001),
            ("min level", 0.5),
            ("max level", 3.0),
        ):
            with self.subTest(name):
                (told,) = self.differences(**{name: value})
                self.assertIn(name.removesuffix(" level"), told)

    def test_values_of_a_second_type_count_where_they_are_numbers_or_alone(self):
        flags = {"count level__bool": 1, "mean level__bool": 1.0, "min level__bool": 1.0, "max level__bool": 1.0}
        found = figures.melted([READ | flags], "meter", ["level", "level__text", "level__bool"])
        self.assertEqual(found[KEY], figures.Figure(4, 3, 4 / 3, 1.0, 2.0))
        alone = READ | {"count level": 0}
        found = figures.melted([alone], "meter", ["level", "level__text"])
        self.assertEqual(found[KEY], figures.Figure(4, 2, None, None, None))

    def test_a_signal_more_or_less_is_told(self):
        (told,) = self.differences(**{"count level": 0, "count level__text": 0})
        self.assertIn("not found", told)
        found = figures.melted([READ], "meter", ["level", "level__text"])
        (told,) = figures.differences(found, {})
        self.assertIn("not in the aggregates", told)

    def test_a_name_of_a_long_kind_is_a_signal(self):
        row = PLACE | {"count value": 1, "mean value": 2.0, "min value": 2.0, "max value": 2.0}
        rows = [row | {"name": "level", "messages": 1}, row | {"name": "load", "messages": 3}]
        found = figures.by_name(rows, "metric", "name", "value")
        key = ("metric", "2026-01-01T05", "m-1", "level")
        self.assertEqual(found[key], figures.Figure(4, 1, 2.0, 2.0, 2.0))
        self.assertEqual(len(found), 2)

    def test_rows_of_aggregates_are_compared_to_the_last_digit(self):
        row = LINE | PLACE
        self.assertEqual(list(figures.rows_differ([row], {KEY: LINE})), [])
        for spoilt, word in (([], "no row"), ([row, row], "twice"), ([row | {"p95": 1.9500000000000002}], "p95")):
            (told,) = figures.rows_differ(spoilt, {KEY: LINE})
            self.assertIn(word, told)


class Tables(unittest.TestCase):
    columns = {"event_id": "string", "level": "double"}
    good = Schema([Column("event_id", "BYTE_ARRAY", "String"), Column("level", "DOUBLE")])

    def differences(self, *schemas, undeclared=None):
        files = {f"part-{at}": schema for at, schema in enumerate(schemas)}
        return list(glue.curated_differs("meter", self.columns, undeclared or {}, files))

    def test_a_table_like_its_files_is_taken(self):
        self.assertEqual(self.differences(self.good), [])
        odd = Schema([*self.good, Column("load", "BOOLEAN"), Column("load__text", "BYTE_ARRAY", "String")])
        self.assertEqual(self.differences(odd, undeclared={"load": "boolean"}), [])

    def test_another_type_in_one_file_is_told(self):
        (told,) = self.differences(self.good, Schema([self.good[0], Column("level", "INT64")]))
        self.assertIn("level is INT64 None in part-1, double in the table", told)

    def test_a_column_more_or_less_is_told(self):
        (told,) = self.differences(Schema([*self.good, Column("load", "DOUBLE")]))
        self.assertIn("which the table lacks", told)
        (told,) = self.differences(Schema(self.good[:1]))
        self.assertIn("which no file has", told)

    def test_lines_are_held_against_their_table(self):
        columns = {"event_hour": "string", "count": "bigint"}
        self.assertEqual(list(glue.lines_differ("t", columns, [{"event_hour": "x", "count": 1}])), [])
        for line, word in (
            ({"event_hour": "x", "count": 1.5}, "count is 1.5"),
            ({"event_hour": "x", "count": 1, "more": 1}, "lacks"),
            ({"event_hour": "x"}, "no line has"),
        ):
            (told,) = glue.lines_differ("t", columns, [line])
            self.assertIn(word, told)

    def test_the_tables_of_this_checkout_are_found(self):
        tables = glue.Tables(ROOT)
        kinds = ["cell", "chat", "metric", "metric_info", "stream_meta", "transaction", "vehicle", "viewer"]
        self.assertEqual(sorted(tables.curated), kinds)
        self.assertEqual((tables.curated["metric"]["tags"], tables.raw["tags"]), ("string", "map<string,string>"))
        self.assertEqual(tables.curated["vehicle"]["gear"], "double")
        self.assertEqual((tables.curated["chat"]["sentiment"], tables.raw["message"]), ("double", "map<string,string>"))
        self.assertEqual(tables.curated["cell"]["schema_version"], "bigint")
        self.assertEqual(tables.raw["payload"], "map<string,string>")
        self.assertEqual(tables.raw["can_id"], "string")


class Page(unittest.TestCase):
    def test_each_reader_has_its_two_blocks(self):
        found = page.sections(ROOT / "docs/readers.md")
        blocks = {heading: len(blocks) for heading, blocks in found.items()}
        self.assertEqual(blocks, {"DuckDB": 2, "Polars": 2, "PyArrow": 2, "PySpark": 2})


if __name__ == "__main__":
    unittest.main()
