"""Rule files through `promtool check rules` and `alerts check`.

A `¦` in a text marks the place that our complaint must name; it is taken out before the text is read.
"""

import re
from pathlib import Path

from .programs import in_words

RULES = Path(__file__).resolve().parents[3] / "crates/alerts/rules"

# The three that are looked at where there is no folder of rules, those about the pipeline itself, and the page's.
OURS = [(RULES / "default.yml").read_text(), (RULES / "health.yml").read_text()]

FILE = """\
groups:
  - name: cells
    rules:
      - alert: Hot
        expr: |-
          {expr}
"""

NOTED = """\
groups:
  - name: cells
    rules:
      - alert: Hot
        expr: max_over_time(load[60s]) > 80
        annotations:
          summary: '{text}'
"""

TAKEN_EXPRESSIONS = [
    'avg_over_time(load{kind="cell"}[60s]) > 80',
    "sum_over_time(load[10s]) >= 1e3",
    "count_over_time(load[5m]) == 3",
    "min_over_time(load[1h]) < -1.5",
    "max_over_time(load[1m30s]) <= .5",
    "last_over_time(load[60000ms]) != 0",
    "stddev_over_time(load[60s]) > +Inf",
    "quantile_over_time(0.95, load[5m]) > 80.",
    "changes(load[5m]) > 2",
    "rate(bytes_total[5m]) > 100",
    "increase(bytes_total[5m]) > 100",
    'absent_over_time(load{kind="cell", entity_id="c-1"}[5m])',
    'absent_over_time(load{kind="cell"}[5m]) == 1',
    "80 < avg_over_time(load[60s])",
    "((avg_over_time(load[60s])) > (80))",
    "sum(count_over_time(load[60s])) > 5",
    "avg by (kind) (rate(load[5m])) > 5",
    "count(max_over_time(load[60s])) by (kind, vendor) > 5",
    "MIN BY (kind) (min_over_time(load[60s])) < 5",
    "max by () (max_over_time(load[60s])) > 5",
    "avg_over_time(a[60s]) > 1 and max_over_time(b[60s]) > 2 or rate(c[60s]) > 3",
    "avg_over_time(a[60s]) > 1 UNLESS (max_over_time(b[60s]) > 2 Or rate(c[60s]) > 3)",
    "avg_over_time(load{a=\"1\", b!='2', c=~`v.*|w`, d!~\"x+\",}[60s]) > 1",
    'avg_over_time(load{a=~"\\\\d+", b="say \\"so\\"\\n"}[60s]) > 1',
    "avg_over_time(load[60s]) # the mean\n            > 80",
]

# With the beginning of a complaint; promtool refuses them too.
WRONG_EXPRESSIONS = [
    ("¦avg_ovr_time(load[60s]) > 1", "the function `avg_ovr_time` is not taken: did you mean `avg_over_time`?"),
    ("avg_over_time(load¦) > 1", "the range is missing"),
    ("avg_over_time(load[60s] ¦> 1", "`)` is missing"),
    ("avg_over_time(load[60s]) > 1¦)", "this `)` closes nothing"),
    ("avg_over_time(load[60s]) >¦", "a condition is missing"),
    ("avg_over_time(load[60s]) ¦= 1", "`=`"),
    ("rate(load[¦60]) > 1", "a range is a duration with its unit"),
    ("rate(load[¦0s]) > 1", "a range is a multiple of 10s"),
    ("rate(load[¦1s1m]) > 1", "`1s1m` is neither"),
    ("rate(load{a=¦1}[60s]) > 1", "the value of a label stands in quotes"),
    ('rate(load{a=¦"1}[60s]) > 1', "the text that begins here has no closing"),
    ('rate(load{a=~¦"("}[60s]) > 1', "not a regular expression"),
    ('rate(load{a="1" ¦b="2"}[60s]) > 1', "`,` or `}` is missing"),
    ('rate(load{a="x¦\\."}[60s]) > 1', "the escape `\\.` is not taken"),
    ("rate(load[60s]) > ¦$5", "`$` has no meaning here"),
    ("rate(load[60s]) > 1 and ¦5", "a number is no condition"),
    ("rate(load[60s]) > 1 ¦rate(load[60s]) > 1", "the condition ends before this"),
    ("quantile_over_time(¦load[60s]) > 1", "`quantile_over_time` takes a number from 0 to 1 first"),
    ("absent_over_time(load¦)", "the range is missing"),
    ("sum by ¦kind", "`(` is missing after `by`"),
    ("¦5 > 4", None),
]

# Promtool takes these, for they are PromQL.
OTHER_EXPRESSIONS = [
    ("¦load > 80", "a signal is looked at through a window: write `last_over_time(load[60s])`"),
    ("¦avg_over_time(load[60s])", "this value is compared with nothing"),
    ("rate(a[5m]) ¦/ rate(b[5m]) > 1", "arithmetic (`/`) is not taken"),
    ("avg_over_time(a[60s]) ¦* 2 > 1", "arithmetic (`*`) is not taken"),
    ("rate(a[5m]) > ¦rate(b[5m])", "a value is compared with a number"),
    ("rate(a[5m] ¦offset 1h) > 1", "`offset` is not taken"),
    ("rate(a[5m] ¦@ 0) > 1", "`@` is not taken"),
    ("rate(a[5m¦:1m]) > 1", "subqueries are not taken"),
    ("rate(a[¦15s]) > 1", "a range is a multiple of 10s, at most 1h"),
    ("rate(a[¦2h]) > 1", "a range is a multiple of 10s, at most 1h"),
    ("rate(a[60s]) > ¦bool 1", "`bool` is not taken"),
    ("rate(a[60s]) > 1 and ¦on (kind) rate(b[60s]) > 1", "`on` is not taken"),
    ("rate(a[60s]) > 1 or ¦ignoring (kind) rate(b[60s]) > 1", "`ignoring` is not taken"),
    ("sum ¦without (kind) (rate(a[60s])) > 1", "`without` is not taken"),
    ("sum(¦a) > 1", "an aggregation takes a function over a window"),
    ("avg_over_time(rate¦(a[60s])[5m:]) > 1", "functions do not stand within each other"),
    ("¦irate(a[5m]) > 1", "the function `irate` is not taken"),
    ("¦topk(3, rate(a[60s])) > 1", "the function `topk` is not taken"),
    ("¦absent(a)", "the function `absent` is not taken: did you mean `absent_over_time`?"),
    ("rate(¦{kind=\"cell\"}[60s]) > 1", "the signal's name is missing"),
    ('rate({¦__name__="a"}[60s]) > 1', "`__name__` is not taken"),
    ("rate(a[60s]) > 1 ¦> 0", "one value is compared once"),
    ("¦5", "a number is no condition"),
    ("rate(a[60s]) > 1 unless ¦absent_over_time(b[60s])", "both sides are matched by their labels, which differ"),
    ("quantile_over_time(¦95, a[60s]) > 1", "`quantile_over_time` takes a number from 0 to 1 first"),
    ("¦absent_over_time(a[60s]) > 5", "`absent_over_time` is a condition by itself"),
]

TAKEN_TEMPLATES = [
    "plain",
    "{{ $value }} {{.Value}} {{ $labels.entity_id }}{{.Labels.entity_id}}",
    '{{ $value | printf "%.1f" }} {{ printf "%.0f%%" $value }} {{ $value | printf "%g" }}',
    "{{ $value | humanize }} {{ humanize1024 $value }} {{ $value | humanizeDuration | printf `%s` }}",
    "a {{- $value -}} b {{ \"{{\" }}",
]
WRONG_TEMPLATES = [
    ("¦{{ $vlaue }}", "`$vlaue` is not taken in {{ }}"),
    ("a ¦{{ $value", "this `{{` has no `}}`"),
    ("¦{{ }}", "`{{ }}` is empty"),
    ("¦{{ $value | humanise }}", "the function `humanise` is not taken in {{ }}: did you mean `humanize`?"),
    ("¦{{ if }}", None),
]
OTHER_TEMPLATES = [
    ("¦{{ if $value }}x{{ end }}", "the function `if` is not taken in {{ }}"),
    ("¦{{ query `up` | first | value }}", None),
    ("¦{{ $value | printf `%d` }}", "the format `%d` is not taken"),
    ("¦{{ $labels }}", "`$labels` is not taken in {{ }}"),
    ("¦{{ $externalLabels.a }}", "`$externalLabels.a` is not taken in {{ }}"),
    ("¦{{ $labels.a | toUpper }}", "the function `toUpper` is not taken in {{ }}"),
]


def one(rule, group=""):
    """A file of one group with one rule, both in YAML's flow style."""
    return f"groups:\n  - name: cells\n{group}    rules:\n      - {rule}\n"


HOT = "expr: 'max_over_time(load[60s]) > 1'"

TAKEN_FILES = [
    "",
    "# nothing yet\n",
    "groups:\n",
    "groups: []\n",
    "groups: [{ name: a }]\n",
    "groups: [{ name: a, rules: }]\n",
    one(f"{{ alert: Hot, {HOT}, for: 0, keep_firing_for: 1h30m, labels: , annotations: }}"),
    one(f"{{ alert: 5, {HOT}, labels: {{ level: 1, on: true }}, annotations: {{ a: 1.50 }} }}"),
    one(f"{{ alert: Hot, {HOT} }}", "    interval: 30s\n    limit: 10\n"),
    one(f"&hot {{ alert: Hot, {HOT} }}\n      - {{ <<: *hot, alert: Hotter }}"),
    one(f"{{ alert: Hot, {HOT}, labels: {{ a: x }} }}\n      - {{ alert: Hot, {HOT}, labels: {{ a: y }} }}"),
    one(f"{{ alert: Hot, {HOT}, annotations: {{ headwater_no_data: ok, headwater_no_data_after: 1m }} }}"),
]

WRONG_FILES = [
    ("groups:\n  - ¦rules: []\n", None),
    ("groups:\n  - name: '¦'\n    rules: []\n", "a group needs a name"),
    ("groups:\n  - name: a\n  - name: ¦a\n", "the group `a` is in this file twice"),
    ("¦grops: []\n", "unknown key `grops`: did you mean `groups`?"),
    ("groups: [{ name: a, rules: ¦[}] }]\n", None),
    (one(f"{{ alert: Hot, ¦exrp: x, {HOT} }}"), "unknown key `exrp`: did you mean `expr`?"),
    (one("{ ¦alert: Hot }"), "missing field `expr`"),
    (one("{ expr: '¦max_over_time(load[60s]) > 1' }"), "the rule has no name"),
    (one(f"{{ alert: '¦', {HOT} }}"), "`alert` is empty"),
    (one(f"{{ alert: Hot, record: ¦hot, {HOT} }}"), "recording rules"),
    (one(f"{{ alert: Hot, {HOT}, for: ¦5 }}"), "`5` is no duration"),
    (one(f"{{ alert: Hot, {HOT}, for: '¦' }}"), "`` is no duration"),
    (one(f"{{ alert: Hot, {HOT}, for: ¦30m1h }}"), "`30m1h` is no duration"),
    (one(f"{{ alert: Hot, {HOT}, keep_firing_for: ¦-1m }}"), "`-1m` is no duration"),
    (one(f"{{ alert: Hot, {HOT}, labels: {{ a-b: ¦x }} }}"), "`a-b` cannot be set"),
    (one(f"{{ alert: Hot, {HOT}, labels: {{ __name__: ¦x }} }}"), "`__name__` cannot be set"),
    (one(f"{{ alert: Hot, {HOT}, annotations: {{ a.b: ¦x }} }}"), "`a.b` cannot be set"),
    (one(f"{{ alert: Hot, {HOT}, labels: {{ a: x, ¦a: y }} }}"), None),
    (one(f"{{ alert: Hot, {HOT} }}", "    interval: ¦soon\n"), "`soon` is no duration"),
]

OTHER_FILES = [
    (one(f"{{ alert: Hot, {HOT}, labels: {{ none¦: }} }}"), "a text is missing here"),
    (one(f"{{ alert: Hot, {HOT}, annotations: {{ none: ¦~ }} }}"), "a text is missing here"),
    (one("{ record: ¦hot, expr: 'max_over_time(load[60s])' }"), "recording rules (`record`) are not taken"),
    (one(f"{{ alert: Hot, {HOT}, labels: {{ now: '¦{{{{ $value }}}}' }} }}"), "a label must not hold the value"),
    (one(f"{{ alert: Hot, {HOT}, labels: {{ alertname: ¦x }} }}"), "`alertname` cannot be set"),
    (one(f"{{ alert: Hot, {HOT}, labels: {{ entity_id: ¦x }} }}"), "`entity_id` cannot be set"),
    (one(f"{{ alert: Hot, {HOT} }}\n      - {{ alert: ¦Hot, {HOT} }}"), "the rule `Hot` of the group `cells` stands at"),
    (one(f"{{ alert: Hot, {HOT}, annotations: {{ headwater_no_data: ¦no }} }}"), "`no_data` is `keep`, `ok` or `alert`"),
]

# Ours takes them, and promtool 2.42 does not: keys of our own, and those of Prometheus 3.
NEWER_FILES = [
    one(f"{{ alert: Hot, {HOT}, no_data: alert, no_data_after: 1m }}"),
    one(f"{{ alert: Hot, {HOT} }}", "    query_offset: 1m\n"),
    one(f"{{ alert: Hot, {HOT} }}", "    labels: { team: core }\n"),
    one("{ alert: Hot, expr: 'max_over_time({\"my load\", kind=\"cell\"}[60s]) > 1' }"),
]


def cases():
    """Each text, whether promtool and we take it, and how our complaint begins, if that is said."""
    for text in OURS + TAKEN_FILES:
        yield text, True, True, None
    for expr in TAKEN_EXPRESSIONS:
        yield FILE.format(expr=expr), True, True, None
    for text in TAKEN_TEMPLATES:
        yield NOTED.replace("{text}", text), True, True, None
    for text in NEWER_FILES:
        yield text, False, True, None
    for texts, expressions, templates, promtool in (
        (WRONG_FILES, WRONG_EXPRESSIONS, WRONG_TEMPLATES, False),
        (OTHER_FILES, OTHER_EXPRESSIONS, OTHER_TEMPLATES, True),
    ):
        for text, words in texts:
            yield text, promtool, False, words
        for expr, words in expressions:
            yield FILE.format(expr=expr), promtool, False, words
        for text, words in templates:
            yield NOTED.replace("{text}", text), promtool, False, words


def place(text):
    """Line and column of the mark, from 1."""
    before = text[: text.index("¦")]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def check(both):
    """How many files were held against both, and what differs, in words."""
    wrong, count = [], 0
    for text, promtool, ours, words in cases():
        count += 1
        path = both.write("rules.yml", text.replace("¦", ""))
        (they_take, theirs), (we_take, said) = both.check(path)
        if (they_take, we_take) != (promtool, ours):
            wrong.append(
                f"promtool {'takes' if they_take else 'refuses'} and we {'take' if we_take else 'refuse'}, in\n{text}"
                + in_words(theirs, said)
            )
            continue
        if ours:
            continue
        wanted = re.escape(f"{path}:{place(text)}: {words or ''}")
        if not re.search(f"^{wanted}", said, re.MULTILINE):
            wrong.append(f"the complaint is not at {place(text)} and of these words: {words}, in\n{text}{in_words('', said)}")
    return count, wrong
