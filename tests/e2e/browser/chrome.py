"""Debian's Chromium under Selenium: one page of the console, what it asked for, and what it complained about."""

import json
import shutil
import time
import urllib.parse

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

BROWSER, DRIVER = "chromium", "chromedriver"

# Runs before any script of the page: counts what the policy would have forbidden.
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


class Failed(Exception):
    """A check that does not hold."""


def must(condition, text):
    if not condition:
        raise Failed(text)


def missing():
    """Debian's packages that have to be installed."""
    return [
        package
        for program, package in ((BROWSER, "chromium"), (DRIVER, "chromium-driver"))
        if not shutil.which(program)
    ]


class Browser:
    """A browser with a profile of its own, and its page at `url`."""

    def __init__(self, url, key, dark=False, width=1280, height=900):
        self.url, self.key = url, key
        options = Options()
        options.binary_location = shutil.which(BROWSER)
        for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", f"--window-size={width},{height}",
                     "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"):  # fmt: skip
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which(DRIVER)))
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        self.violations, self.errors, self.asked, self.sizes, self.said = [], [], [], {}, []
        self.set_dark(dark)

    def close(self):
        self.driver.quit()

    def set_dark(self, dark):
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def set_size(self, width, height, mobile=False):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def fetch(self, path):
        """An answer of the server as the page gets it, with its session: status and JSON."""
        return self.driver.execute_async_script(
            """const [path, done] = arguments;
               fetch(path).then(async (a) => done([a.status, await a.json().catch(() => null)]), (e) => done([0, String(e)]));""",
            path,
        )

    def go(self, path, parameters=None):
        """Opens an address of the console as a newcomer does, and waits for its view."""
        self.collect()
        query = urllib.parse.urlencode(parameters or {})
        self.driver.get(f"{self.url}/console/{path}{'?' + query if query else ''}")
        self.wait("the view", lambda: self.run("return document.querySelector('main h1') !== null"))

    def sign_in(self, key=None):
        field = self.wait("the sign-in form", lambda: self.find("#key"))
        field.clear()
        field.send_keys(key or self.key, Keys.ENTER)

    def find(self, selector):
        found = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return found[0] if found else None

    def button(self, text):
        return self.driver.find_element(By.XPATH, f"//button[normalize-space()='{text}']")

    def text(self, selector="main"):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def state(self):
        return self.run("return document.documentElement.dataset.live")

    def path(self):
        return self.run("return location.pathname + location.search + location.hash")

    def wait(self, what, condition, seconds=20):
        """Waits until `condition` gives something; gives that."""
        deadline = time.monotonic() + seconds
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > deadline:
                raise Failed(f"{what} did not come within {seconds} s; the page says: {self.text('body')[:600]}")
            time.sleep(0.02)

    def wait_live(self, seconds=20):
        self.wait("the live stream", lambda: self.state() == "live", seconds)

    def table(self, label):
        """Rows of the table in the region with this label: `[text or title]`, the title where there is one."""
        return self.run(
            """const region = [...document.querySelectorAll("[role=region]")].find((one) => one.getAttribute("aria-label") === arguments[0]);
               return region ? [...region.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) =>
                 cell.title || cell.querySelector("[title]")?.title || cell.innerText)) : null;""",
            label,
        )

    def chart(self, title):
        """Numbers of a chart, by its table: `[[time, value, …]]`, the newest first."""

        def opened():
            # Each time: the chart comes with the view's first answers.
            self.run(
                """const figure = [...document.querySelectorAll("figure.chart")].find((one) => one.querySelector(".name").textContent === arguments[0]);
                   if (figure) figure.querySelector("details").open = true;""",
                title,
            )
            return self.table(f"Numbers of {title}")

        return self.wait(f"the table of the chart {title}", opened)

    def collect(self):
        """Takes in what was asked for and complained about since the last time."""
        self.violations += self.run("return window.violations ? window.violations.splice(0) : []")
        # Answers that refuse, and connections that fail, are told here too: those are not the page's faults.
        self.errors += [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE" and entry["source"] != "network" and "WebSocket" not in entry["message"]
        ]
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            parameters = message["params"]
            if message["method"] == "Network.requestWillBeSent":
                self.asked.append(parameters["request"]["url"])
            elif message["method"] == "Network.webSocketCreated":
                self.asked.append(parameters["url"])
            elif message["method"] == "Network.webSocketFrameSent":
                self.said.append(json.loads(parameters["response"]["payloadData"]))
            elif message["method"] == "Network.loadingFinished":
                self.sizes[parameters["requestId"]] = parameters["encodedDataLength"]

    def check_policy(self):
        """Nothing was forbidden by the policy, and nothing was asked of another host."""
        self.collect()
        must(not self.violations, f"the policy was violated: {self.violations[:5]}")
        must(not self.errors, f"the page's scripts failed: {self.errors[:3]}")
        must(not [url for url in self.asked if "/console/csp" in url], "a report on the policy was sent")
        own = (self.url, self.url.replace("http", "ws"), "data:", f"blob:{self.url}", "about:", "chrome-extension:")
        elsewhere = [url for url in self.asked if not url.startswith(own)]
        must(not elsewhere, f"requests to other hosts: {elsewhere[:5]}")
        return len(self.asked)
