"""What goes wrong, and what the page says of it: keys, sessions, a server that dies, freezes and returns."""

import pathlib
import signal
import time

from selenium.webdriver.common.keys import Keys

from browser.chrome import Browser, must
from browser.way import Way
from browser.world import KEY, VEHICLE, rfc3339


def sign_in(page, world):
    """A wrong key is refused in words, the right one opens the address that was asked for; a link opens once."""
    page.go("top", {"kind": "wild", "signal": "level"})
    must(page.find("#key") is not None, "there is no sign-in form without a session")
    page.sign_in("a-wrong-key")
    page.wait("the refusal", lambda: page.text("#login-error"))
    must(not page.find("main table"), "something is shown with a wrong key")
    page.sign_in(KEY)
    page.wait_live()
    must("signal=level" in page.path(), f"the address after sign-in is {page.path()}")
    page.find("#logout").click()
    page.wait("the form", lambda: page.find("#key"))
    link = world.link()
    must(link, "the service prints no link to its console")
    page.driver.get(link)
    page.wait_live()
    must(page.path() == "/console/", f"the link leads to {page.path()}")
    page.driver.delete_all_cookies()
    page.driver.get(link)
    page.wait("the form", lambda: page.find("#key"))
    must("used before" in page.text(), "a used link is not told as such")
    page.sign_in()
    page.wait_live()
    return "wrong key refused, right one taken, link taken once"


def expiry(page, world):
    """A session that is over shows the form, at the same address; after it the view goes on."""
    page.go("entity", {"kind": "vehicle", "entity": VEHICLE, "range": "1h"})
    page.wait("the signals", lambda: page.find("[data-signal=engine_rpm]"))
    before = page.path()
    page.driver.delete_all_cookies()
    page.find(".choices a").click()
    page.wait("the form", lambda: page.find("#key"))
    must("The session is over" in page.text(), "the page does not say why it asks for a key")
    page.sign_in()
    page.wait("the view", lambda: page.find("[data-signal=engine_rpm]") or page.find(".choices a"))
    must(page.path().startswith(before.split("&range")[0][:30]), f"the address was {before}, is {page.path()}")
    return "the form, and back to the same address"


def killed(page, world):
    """A killed server is told within 2 s, its return within 5 s, with the gap in words; so is a frozen one."""
    page.go("now")
    page.wait_live()
    page.wait(
        "figures",
        lambda: (
            page.run("return document.querySelector('[data-figure=events_per_second]').title") not in ("", "unknown")
        ),
    )
    time.sleep(3)
    world.kill()
    begun = time.monotonic()
    page.wait("the word that the connection is lost", lambda: page.state() == "lost", 5)
    told = time.monotonic() - begun
    must("Connection lost" in page.text("#banner"), "the banner does not say it")
    must(told <= 2, f"the loss was told after {told:.1f} s")
    time.sleep(2)
    world.start()
    begun = time.monotonic()
    page.wait("what comes after", lambda: page.state() == "live" or page.find("#key"), 15)
    back = time.monotonic() - begun
    must(back <= 5, f"the page went on {back:.1f} s after the server's return")
    # Sessions are held in memory: a server that was killed asks for the key again.
    asked = page.find("#key") is not None
    if asked:
        page.sign_in()
        page.wait_live()
    must(page.path() == "/console/now", f"the address is {page.path()}")
    page.wait("the gap in words", lambda: "restarted" in page.text(".gaps") or "lost" in page.text(".gaps"))
    return f"killed: told after {told:.1f} s, on again {back:.1f} s after its return{', by the key' if asked else ''}; the gap is marked"


def frozen(page, world):
    """A server that neither answers nor closes is told within 2 s, and so is its return."""
    page.go("now")
    page.wait_live()
    time.sleep(3)
    world.process().send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    try:
        page.wait("the word that the connection is lost", lambda: page.state() == "lost", 6)
        told = time.monotonic() - begun
        time.sleep(4)
    finally:
        world.process().send_signal(signal.SIGCONT)
    begun = time.monotonic()
    page.wait("the live stream again", lambda: page.state() == "live", 15)
    back = time.monotonic() - begun
    must(told <= 2.2, f"a frozen server was told after {told:.1f} s")
    must(back <= 5, f"the page went on {back:.1f} s after the server went on")
    page.wait("the gap in words", lambda: "Gap" in page.text(".gaps"))
    return f"frozen: told after {told:.1f} s, on again {back:.1f} s after; the gap is marked"


def post_rpm(world, value):
    event = {"timestamp": rfc3339(time.time()), "vehicle_id": VEHICLE, "can_id": "0x1F0"}
    world.post("vehicle", [event | {"payload": {"engine_rpm": value}}])


def shows_rpm(page, value):
    shown = page.run("return document.querySelector('[data-signal=engine_rpm]')?.title")
    return shown in (str(value), f"{value}.0")


def cut(page, world):
    """A connection that is cut goes on within 5 s of its return, without the key; what came meanwhile is in the chart."""
    host, port = world.listen.split(":")
    way = Way(world.port + 9, (host, int(port)))
    other = Browser(way.url, KEY)
    try:
        other.go("entity", {"kind": "vehicle", "entity": VEHICLE, "range": "5m"})
        other.sign_in()
        other.wait("the signals", lambda: other.find("[data-signal=engine_rpm]"))
        other.wait_live()
        way.cut()
        begun = time.monotonic()
        other.wait("the word that the connection is lost", lambda: other.state() == "lost", 5)
        told = time.monotonic() - begun
        must(told <= 2, f"the loss was told after {told:.1f} s")
        for value in (4001, 4002, 4003):
            post_rpm(world, value)
            time.sleep(1.1)
        way.mend()
        begun = time.monotonic()
        other.wait("the live stream", lambda: other.state() == "live", 10)
        back = time.monotonic() - begun
        must(back <= 5, f"the page went on {back:.1f} s after the way was mended")
        must(not other.find("#key"), "a session that goes on asks for the key")
        other.wait("the newest value", lambda: shows_rpm(other, 4003))
        missed = {4001, 4002, 4003}
        other.wait(
            "what came meanwhile",
            lambda: missed <= {float(row[1].replace(",", "")) for row in other.chart("engine_rpm") if row[1] != "–"},
            40,
        )
        must("Gap" in other.text(".gaps"), "the gap is not marked")
        must("Nothing was heard from" in other.text("#banner"), f"the banner says {other.text('#banner')}")
        slow = throttled(other, world, way)
        other.check_policy()
    finally:
        other.close()
        way.close()
    return f"cut: told after {told:.1f} s, on again {back:.1f} s after, nothing missing in the chart; {slow}"


def throttled(other, world, way):
    """On a way that is slower than the stream the page lags; it has the newest value once the way is good again."""
    way.bytes_per_second = 600
    for value in range(5000, 5010):
        post_rpm(world, value)
        time.sleep(0.5)
    way.bytes_per_second = None
    begun = time.monotonic()
    other.wait("the newest value after a slow time", lambda: shows_rpm(other, 5009), 15)
    other.wait_live()
    return f"newest value {time.monotonic() - begun:.1f} s after a slow time"


def hidden(page, world):
    """A hidden tab unsubscribes from all it had; shown again it goes on, and says what it did not see."""
    page.go("now")
    page.wait_live()
    time.sleep(3)
    page.collect()
    page.said.clear()
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    time.sleep(3)
    page.driver.close()
    page.driver.switch_to.window(first)
    page.wait_live()
    page.wait("the gap in words", lambda: "this tab was hidden" in page.text(".gaps"))
    page.collect()
    must([{"topic": "health"}] in [said.get("unsubscribe") for said in page.said], f"the page said {page.said}")
    resumed = [said for said in page.said if said.get("subscribe") == [{"topic": "health"}]]
    must(resumed and resumed[-1].get("since"), f"the page did not go on: {page.said}")
    return "unsubscribed, then on with what it had seen last"


def second_tab(page, world):
    """A second tab has the session, and signing out in it ends that of the first."""
    page.go("top", {"kind": "wild", "signal": "level"})
    page.wait_live()
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    page.go("now")
    page.wait_live()
    page.find("#logout").click()
    page.wait("the form", lambda: page.find("#key"))
    page.driver.close()
    page.driver.switch_to.window(first)
    page.find("nav a[href='/console/lake']").click()
    page.wait("the form in the first tab", lambda: page.find("#key"))
    page.sign_in()
    page.wait("the folders", lambda: "raw/" in page.text())
    return "one session for both tabs"


def long_sql(page, world):
    """64 KB of SQL are taken, run, kept in the address, and bounded with a word past that."""
    page.go("sql")
    text = "SELECT 1 AS one -- " + "x" * (65_000 - 40) + "\n"
    page.run(
        "const t = document.querySelector('textarea'); t.value = arguments[0]; t.dispatchEvent(new Event('input')); t.focus();",
        text,
    )
    page.find("textarea").send_keys(Keys.CONTROL, Keys.ENTER)
    page.wait("the row", lambda: page.table("Rows") == [["1"]])
    page.driver.refresh()
    page.wait(
        "the statement after a reload",
        lambda: page.run("return document.querySelector('textarea')?.value.length") == len(text),
    )
    page.wait("the row after a reload", lambda: page.table("Rows") == [["1"]])
    page.run(
        "const t = document.querySelector('textarea'); t.value = arguments[0]; t.dispatchEvent(new Event('input')); t.focus();",
        text + "x" * 70_000,
    )
    page.find("textarea").send_keys(Keys.CONTROL, Keys.ENTER)
    page.wait("the refusal", lambda: page.text(".error"))
    must(page.state() == "live", "the page is not live after a refusal")
    return f"{len(text)} characters run and are kept; {len(text) + 70_000} are refused: {page.text('.error')[:80]}"


def resident(process):
    """Bytes that a process holds in memory: anonymous pages, without those of its program and of files."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon:"))


def soak(page, world, minutes):
    """The page's heap and the server's memory are flat while the page is left open: the last quarter is at most 1.05
    times the second one."""
    page.go("entity", {"kind": "vehicle", "entity": "veh-00001", "range": "5m"})
    page.wait_live()
    used, held = [], []
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        time.sleep(min(15, 60 * minutes / 40))
        page.collect()
        page.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        used.append(page.driver.execute_cdp_cmd("Runtime.getHeapUsage", {})["usedSize"])
        held.append(resident(world.process()))
    must(page.state() == "live" and page.find("[data-signal]"), f"the page is {page.state()} after {minutes} min")
    quarter = len(used) // 4
    told, grown = [], False
    for name, values in [("heap of the page", used), ("memory of the server", held)]:
        second, last = (sum(part) / len(part) / 1e6 for part in (values[quarter : 2 * quarter], values[-quarter:]))
        told.append(f"{name} {second:.2f} MB in the second quarter, {last:.2f} in the last")
        grown |= last > 1.05 * second
    must(not grown, f"{minutes} min: {'; '.join(told)}")
    return f"{minutes} min: {'; '.join(told)}"


BEFORE = [sign_in]
AFTER = [expiry, hidden, second_tab, long_sql, cut, frozen, killed]
