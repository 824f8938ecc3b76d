"""The page's modules by themselves, in the browser that runs them: numbers, times, axes, the bounded series, the stream."""

from browser.chrome import must

# Each line is a sentence and an expression that must give true. `m` has the modules by name.
SENTENCES = r"""
a number has six digits :: m.format.number(1234.56789) === "1,234.57"
a large number has no fraction :: m.format.number(12345678.9) === "12,345,679"
a tiny number has an exponent :: m.format.number(0.00001234) === "1.234e-5"
what is unknown is a dash :: m.format.number(null) === "–" && m.format.number(NaN) === "–" && m.format.seconds(null) === "–"
a whole number past 2^53 keeps its digits :: m.format.number(9007199254740993n) === "9007199254740993"
short numbers fit an axis :: m.format.short(12345) === "12.3k" && m.format.short(2500000) === "2.5M" && m.format.short(0) === "0"
a duration has its two greatest units :: m.format.seconds(3725) === "1 h 2 min" && m.format.seconds(1.234) === "1.2 s"
bytes have units of 1,024 :: m.format.bytes(1536) === "1.5 KiB" && m.format.bytes(12) === "12 B"
a time without milliseconds is shown without :: m.format.moment(1795716000000) === "2026-11-26 18:00:00"
a time that is none is null :: m.format.millis("yesterday") === null && m.format.millis(5) === 5
an axis ends at round numbers :: JSON.stringify(m.scale.numberAxis(0, 87, 4)) === '{"low":0,"high":100,"ticks":[0,25,50,75,100]}'
an axis of negative numbers ends at round numbers :: JSON.stringify(m.scale.numberAxis(-0.3, 0.3, 3).ticks) === "[-0.4,-0.2,0,0.2,0.4]"
an axis without values is 0 to 1 :: JSON.stringify(m.scale.valueRange(NaN, NaN, false)) === "[0,1]"
an axis of one value has some air :: m.scale.valueRange(5, 5, false).join() === "4.5,5.5"
no more times are told than fit :: m.scale.timeTicks(0, 900000, 6).ticks.length <= 7 && m.scale.timeTicks(0, 3.2e12, 5).ticks.length <= 6
midnight is told as a day :: m.scale.timeTick(1795737600000, 21600000) === "11-27"
the nearest of times is found :: [0, 14, 16, 99].map((at) => m.scale.nearest([10, 20, 30], at)).join() === "0,0,1,2"
no time is nearest among none :: m.scale.nearest([], 5) === -1
a ring forgets its oldest rows :: (() => { const r = new m.ring.Ring(3, 1); [1, 2, 3, 4, 5].forEach((t) => r.push(t, [t * 10])); return [...r.since(0).times].join() === "3,4,5" && [...r.since(4).columns[0]].join() === "40,50"; })()
a ring drops what is older than its newest row :: (() => { const r = new m.ring.Ring(3, 1); r.push(5, [1]); r.push(4, [2]); return r.length === 1 && r.newest() === 5; })()
a row of the same time replaces the one before :: (() => { const r = new m.ring.Ring(3, 1); r.push(5, [1]); r.push(5, [2]); return r.length === 1 && r.since(0).columns[0][0] === 2; })()
what is missing in a row is unknown :: (() => { const r = new m.ring.Ring(2, 2); r.push(1, [7]); return Number.isNaN(r.since(0).columns[1][0]); })()
a message finds its topic in any order of keys :: m.live.keyOf({ topic: "series", signal: "s", entity: "e", kind: "k", value: 3 }) === m.live.keyOf({ topic: "series", kind: "k", entity: "e", signal: "s" })
ids with commas are no other topic :: m.live.keyOf({ topic: "series", kind: "k", entity: "a,b", signal: "s" }) !== m.live.keyOf({ topic: "series", kind: "k", entity: "a", signal: "b,s" })
what is no JSON is left aside :: (() => { m.live.live.receive("{"); return true; })()
an error finds the topic that it is about :: (() => { const of = { topic: "series", kind: "k", entity: "e", signal: "s" }; const got = []; const end = m.live.live.subscribe(of, (message) => got.push(message.code)); m.live.live.receive(JSON.stringify({ topic: "error", code: "c", message: "m", of })); end(); return got.join() === "c"; })()
the server's word of missed messages is a gap :: (() => { m.live.live.receive('{"topic":"gap","seq":1,"from":1,"to":2}'); return m.live.live.gaps.at(-1).why === "messages were missed"; })()
after a short cut the page goes on from what it has seen :: (() => { const l = m.live.live; const { socket } = l; const said = []; l.socket = { readyState: 1, send: (text) => said.push(JSON.parse(text)) }; l.seq = 41; l.greet({ boot: l.boot, seq: 60 }); l.socket = socket; return said[0].since === 41 && said[0].subscribe.length > 0; })()
after a restart it does not :: (() => { const l = m.live.live; const { socket, boot } = l; const said = []; l.socket = { readyState: 1, send: (text) => said.push(JSON.parse(text)) }; l.greet({ boot: "another", seq: 5 }); l.socket = socket; l.boot = boot; return !("since" in said[0]) && l.seq === 5; })()
a quote in a text ends no literal :: m.api.literal("it's") === "'it''s'" && m.api.identifier('a"b') === '"a""b"'
empty parameters are not in an address :: m.dom.address("top", { kind: "a b", signal: "", n: null }) === "/console/top?kind=a+b"
children of an element are texts :: m.dom.el("p", {}, "<b>x</b>", 5, null).innerHTML === "&lt;b&gt;x&lt;/b&gt;5"
a step cuts a range into few buckets :: ["1m", "15m", "24h", "30d"].map((r) => m.ranges.stepFor(m.ranges.RANGES[r]).text).join() === "1s,5s,5m,6h"
a result of times and numbers has a chart of its lines :: (() => { const c = m.result.chartOf({ columns: [{ name: "t", type: "timestamp" }, { name: "id", type: "text" }, { name: "v", type: "bigint" }], rows: [["2026-01-01T00:00:00Z", "a", 1], ["2026-01-01T00:00:00Z", "b", 2], ["2026-01-01T00:01:00Z", "a", 3], ["2026-01-01T00:01:00Z", "b", 4]] }); const found = c.lines.join() === "a,b" && c.data.times.length === 2 && c.data.values[1][0] === 2; c.remove(); return found; })()
ids that come once are no lines of a chart :: (() => { const c = m.result.chartOf({ columns: [{ name: "t", type: "timestamp" }, { name: "id", type: "text" }, { name: "v", type: "double precision" }], rows: [["2026-01-01T00:00:00Z", "a", 1], ["2026-01-01T00:01:00Z", "b", 2]] }); const found = c.lines.length === 1 && c.title === "v"; c.remove(); return found; })()
a result without times has none :: m.result.chartOf({ columns: [{ name: "v", type: "bigint" }], rows: [[1], [2]] }) === null
"""

NAMES = {
    "format": "format",
    "scale": "scale",
    "ring": "ring",
    "live": "live",
    "api": "api",
    "dom": "dom",
    "ranges": "ranges",
    "result": "sql-result",
}


def modules(page, world):
    """Each sentence about a module holds."""
    page.go("lake")
    page.wait_live()
    sentences = [line.split(" :: ", 1) for line in SENTENCES.strip().splitlines()]
    page.run("window.broken = null; window.modules = null;")
    page.driver.execute_async_script(
        """const [names, done] = arguments;
           const base = document.querySelector("script[type=module]").src.replace(/[^/]*$/, "");
           Promise.all(Object.entries(names).map(async ([name, file]) => [name, await import(`${base}${file}.js`)]))
             .then((all) => { window.modules = Object.fromEntries(all); done(); }, (error) => { window.broken = String(error); done(); });""",
        NAMES,
    )
    must(page.run("return window.broken") is None, f"the modules cannot be loaded: {page.run('return window.broken')}")
    # Each expression is a script of the driver's, for the page's policy forbids scripts made of texts.
    broken = []
    for sentence, expression in sentences:
        try:
            holds = page.run(f"const m = window.modules; return {expression};")
        except Exception as error:
            holds = str(error)[:200]
        if holds is not True:
            broken.append(f"{sentence}: {holds}")
    must(not broken, "\n  ".join(broken))
    return f"{len(sentences)} sentences hold"


ALL = [modules]
