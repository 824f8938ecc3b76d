"""How the page looks and is used: first paint, phone, keyboard, axe-core, pictures."""

import base64
import hashlib
import io
import pathlib
import tarfile
import tempfile
import time
import urllib.request

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from browser.chrome import must
from browser.world import VEHICLE

VIEWS = {
    "now": {}, "entity": {"kind": "vehicle", "entity": VEHICLE, "range": "15m"}, "top": {"kind": "vehicle", "signal": "engine_rpm"},
    "alerts": {}, "moments": {}, "streams": {}, "lake": {"prefix": "raw/"},
    "sql": {"q": "SELECT event_time, engine_rpm FROM vehicle WHERE event_time > now() - INTERVAL '5 minutes' AND entity_id = 'veh-e2e' ORDER BY 1 DESC LIMIT 50"},
}  # fmt: skip

AXE = "https://registry.npmjs.org/axe-core/-/axe-core-4.14.1.tgz"
AXE_SHA256 = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"


def axe_source():
    """axe-core (MPL-2.0), fetched once and kept among the temporary files; it is no part of the project."""
    kept = pathlib.Path(tempfile.gettempdir()) / f"headwater-axe-{AXE_SHA256[:12]}.tgz"
    if not kept.exists() or hashlib.sha256(kept.read_bytes()).hexdigest() != AXE_SHA256:
        with urllib.request.urlopen(AXE, timeout=60) as answer:
            body = answer.read()
        must(hashlib.sha256(body).hexdigest() == AXE_SHA256, f"{AXE} is not what it was")
        kept.write_bytes(body)
    with tarfile.open(fileobj=io.BytesIO(kept.read_bytes())) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()


def accessible(page, world):
    """axe-core finds nothing in any view, in light and dark."""
    source = axe_source()
    checked, found = 0, []
    for dark in (False, True):
        page.set_dark(dark)
        for view, parameters in [*VIEWS.items(), ("alerts", {"tab": "rules"}), ("alerts", {"tab": "history"})]:
            page.go(view, parameters)
            page.wait_live()
            time.sleep(1.5)
            page.run("document.querySelector('details')?.setAttribute('open', '')")
            time.sleep(0.3)
            page.run(source)
            violations = page.driver.execute_async_script(
                "const done = arguments[0]; axe.run(document).then((r) => done(r.violations.map((v) => `${v.id}: ${v.nodes.slice(0, 2).map((n) => n.html + n.failureSummary).join(' | ')}`)), (e) => done([String(e)]));"
            )
            checked += 1
            found += [f"{view}{' dark' if dark else ''}: {violation}" for violation in violations]
    page.set_dark(False)
    page.find("#help").click()
    page.run(source)
    found += page.driver.execute_async_script(
        "const done = arguments[0]; axe.run(document).then((r) => done(r.violations.map((v) => v.id)));"
    )
    page.find("dialog button").click()
    must(not found, "axe-core: " + "\n  ".join(found))
    return f"{checked} pages and a dialog, no violation"


def first_paint(page, world):
    """With a cold cache the page is painted within a second, of few bytes."""
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    page.collect()
    page.sizes.clear()
    page.go("now")
    page.wait_live()
    time.sleep(1)
    page.collect()
    paint = page.run("return performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    scripts = page.run(
        "return performance.getEntriesByType('resource').filter((one) => one.name.includes('/console/assets/')).reduce((sum, one) => sum + one.encodedBodySize, 0)"
    )
    total = sum(page.sizes.values())
    must(paint is not None and paint <= 1000, f"first paint after {paint} ms")
    must(total <= 1_800_000, f"{total} bytes went over the wire")
    must(scripts > 0, "no scripts were loaded")
    return f"first paint after {paint:.0f} ms, {total / 1024:.0f} KiB in all, {scripts / 1024:.0f} KiB of them scripts and styles"


def phone(page, world):
    """At 390 pixels no view is wider than the screen, and all of it can be reached."""
    page.set_size(390, 844, mobile=True)
    try:
        for view, parameters in VIEWS.items():
            page.go(view, parameters)
            page.wait_live()
            time.sleep(1)
            width = page.run("return document.documentElement.scrollWidth")
            must(width <= 390, f"{view} is {width} pixels wide")
        page.find("nav a[href='/console/sql']").click()
        must(page.path().startswith("/console/sql"), "the last view cannot be reached")
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    return f"{len(VIEWS)} views fit"


def keys(page, *pressed):
    ActionChains(page.driver).send_keys(*pressed).perform()


def keyboard(page, world):
    """The skip link, keys to views, the list of keys, and a chart read and zoomed without a pointer."""
    page.go("now")
    page.wait_live()
    keys(page, Keys.TAB)
    must(page.run("return document.activeElement.className") == "skip", "the first stop is not the skip link")
    keys(page, Keys.ENTER)
    must(page.run("return document.activeElement.id") == "main", "the skip link does not lead to the content")
    keys(page, "g", "t")
    page.wait("Top", lambda: page.path().startswith("/console/top"))
    must(page.run("return document.activeElement.tagName") == "H1", "a new view is not told to readers of screens")
    keys(page, "?")
    page.wait("the list of keys", lambda: page.find("dialog[open] kbd"))
    keys(page, Keys.ESCAPE)
    page.wait("its end", lambda: not page.find("dialog[open]"))
    dark = page.run("return getComputedStyle(document.body).backgroundColor")
    keys(page, "d")
    must(page.run("return getComputedStyle(document.body).backgroundColor") != dark, "the key d changes nothing")
    keys(page, "d")
    page.go("entity", {"kind": "vehicle", "entity": VEHICLE, "range": "15m"})
    page.wait(
        "a chart", lambda: page.find("figure.chart canvas") and "no data" not in page.text("figure.chart .legend")
    )
    page.run("document.querySelector('figure.chart canvas').focus()")
    newest = page.text("figure.chart .when")
    keys(page, Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    page.wait("an older value", lambda: page.text("figure.chart .when") not in ("", newest))
    keys(page, "-")
    page.wait("a wider range", lambda: "range=1h" in page.path())
    page.driver.back()
    page.wait("the range before", lambda: "range=15m" in page.path())
    page.go("sql", {"q": "SELECT 1 AS one"})
    page.wait("a row", lambda: page.table("Rows"))
    outline = page.run("const a = document.querySelector('nav a'); a.focus(); return getComputedStyle(a).outlineStyle")
    must(
        outline != "none" or page.run("return !document.querySelector('nav a').matches(':focus-visible')"),
        "focus is not seen",
    )
    return "skip link, views, list of keys, theme, chart"


def pointer(page, world):
    """A selection on a chart is a range in the address, and a link that can be sent to a colleague."""
    page.go("entity", {"kind": "vehicle", "entity": VEHICLE, "range": "15m"})
    canvas = page.wait(
        "a chart",
        lambda: page.find("figure.chart canvas") if "no data" not in page.text("figure.chart .legend") else None,
    )
    page.run("arguments[0].scrollIntoView({block: 'center'})", canvas)
    ActionChains(page.driver).move_to_element_with_offset(canvas, -80, 0).click_and_hold().move_by_offset(
        60, 0
    ).move_by_offset(40, 0).release().perform()
    page.wait("the selection in the address", lambda: "from=" in page.path() and "to=" in page.path())
    path = page.path()
    page.driver.refresh()
    page.wait("the same range", lambda: page.find("[data-signal=engine_rpm]"))
    must(page.path() == path, "the address has changed")
    return "zoom by selection, kept by its address"


def small_png(data):
    """The same picture in 255 colours: a page has hardly more."""
    from PIL import Image

    whole = Image.open(io.BytesIO(data)).convert("RGB")
    picture = whole.quantize(255, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    out = io.BytesIO()
    picture.save(out, "png", optimize=True)
    return out.getvalue()


def pictures(page, folder):
    """Pictures for the documentation, at most 60 KB each."""
    folder.mkdir(parents=True, exist_ok=True)
    shots = {
        "now": ("now", {}, False), "entity": ("entity", {"kind": "vehicle", "entity": "veh-00001", "range": "5m"}, False),
        "top-dark": ("top", {"kind": "cell", "signal": "dl_prb_util_pct"}, True),
        "sql": ("sql", {"q": "SELECT date_bin(INTERVAL '10 seconds', event_time) AS t, entity_id, avg(vehicle_speed_kmh) AS speed\nFROM vehicle\n"
                        "WHERE event_time > now() - INTERVAL '10 minutes' AND entity_id < 'veh-00004'\nGROUP BY 1, 2 ORDER BY 1"}, False),
    }  # fmt: skip
    page.set_size(1180, 740)
    sizes = []
    for name, (view, parameters, dark) in shots.items():
        page.set_dark(dark)
        page.go(view, parameters)
        page.wait_live()
        time.sleep(20 if name == "now" else 5)
        shot = page.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
        data = small_png(base64.b64decode(shot))
        must(len(data) <= 60 * 1024, f"{name}.png has {len(data)} bytes")
        (folder / f"{name}.png").write_bytes(data)
        sizes.append(f"{name}.png {len(data) / 1024:.0f} KiB")
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    page.set_dark(False)
    return ", ".join(sizes)


ALL = [first_paint, accessible, phone, keyboard, pointer]
