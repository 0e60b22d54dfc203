#!/usr/bin/env python3
"""The report in Chromium: page.py RECORDS WHOLE CUT MANY, each a report.html. WHOLE is
made of RECORDS. Everything in it is opened; nothing of a payload may run, load or stand in
the page as anything but text."""
import base64
import json
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
from browser import Browser  # noqa: E402

failed = False
# Elements that only an attacker would bring, and links that lead anywhere.
STRANGE = ("document.querySelectorAll('a, img, svg, iframe, object, embed, link, base, form, "
           "video, audio, b, i, [src], [href], [onerror], [onload], meta[http-equiv=refresh]')"
           ".length + document.querySelectorAll('script:not([type])').length - 1"
           " + document.querySelectorAll('style').length - 1")
PWNED = "document.documentElement.dataset.pwned !== undefined"
# What a reader sees of it; data and scripts are no part of that.
TEXT = "document.body.innerText"
OPEN_ALL = """
for (const details of document.querySelectorAll('details')) details.open = true;
sections.forEach(drawSection);
for (let turn = 0; turn < 4; turn++)
	for (const one of document.querySelectorAll('button'))
		if (/^(Show all|Show more|Show \\d+ more|… all)/.test(one.textContent)) one.click();
"""


def result(name, good, detail=""):
    """Prints a line."""
    global failed
    print(f"{'ok' if good else 'FAIL'} {name}")
    if not good:
        failed = True
        print(f"  {detail!r}"[:1500])


def url(path):
    return "file://" + os.path.abspath(path)


def quiet(browser, path):
    """Nothing failed, nothing was asked of anybody."""
    asked = {e["request"]["url"] for e in browser.named("Network.requestWillBeSent")}
    thrown = browser.named("Runtime.exceptionThrown")
    logged = browser.named("Log.entryAdded")
    return [] if asked == {url(path)} and not thrown and not logged else \
        [asked, thrown, logged]


def visible(payload):
    """A payload as the page is to show it."""
    if isinstance(payload, dict):
        data = base64.b64decode(payload["base64"])
        text = data.decode("utf-8", "backslashreplace")
    else:
        text = payload
    shown = ""
    for char in text:
        point = ord(char)
        if point < 0x20 or point == 0x7f:
            shown += f"\\x{point:02x}"
        elif 0x200b <= point <= 0x200f or 0x2028 <= point <= 0x202e or \
                0x2060 <= point <= 0x206f or point == 0xfeff or 0x80 <= point < 0xa0:
            shown += f"\\u{point:04x}"
        elif 0xe0000 <= point <= 0xe0fff:
            shown += f"\\U{point:08x}"
        else:
            shown += char
    return shown


def payloads(browser, path, records):
    """Everything is opened; texts are texts."""
    browser.open(url(path))
    result("page: it is drawn when it is loaded",
           browser.run("document.body.classList.contains('ready')"))
    browser.run("openProcess(ofType('process')[6])")
    before = browser.run("document.body.innerHTML.replaceAll("
                         "/<script type[^]*?<.script>/g, '')")
    browser.run("[...document.querySelectorAll('#pane button')]"
                ".find(one => one.textContent.includes('variables')).click()")
    result("page: environments wait to be asked for", "verysecret" not in before and
           "verysecret" in browser.run("pane.innerText"))
    browser.run("closePane()")
    browser.run(OPEN_ALL)
    text = browser.run(TEXT)
    missing = [visible(r[k]) for r in records for k in ("path", "text", "name", "user", "point")
               if r["type"] != "process" and isinstance(r.get(k), (str, dict)) and
               visible(r[k])[:4000] not in text]
    result("page: every name is there, as it is to be shown", not missing, missing)
    result("page: no part of a name became markup or ran",
           browser.run(STRANGE) == 0 and not browser.run(PWNED), browser.run(STRANGE))
    browser.run("document.querySelector('#summary button').click()")
    text = browser.run("pane.innerText")
    result("page: the header and the end are whole in their pane",
           all(visible(v) in text for r in (records[0], records[-1]) for v in r.values()
               if isinstance(v, str) and v not in ("header", "end")), text)
    wrong, panes = [], ""
    for pid in range(1, 121):
        browser.run(f"openProcess(ofType('process')[{pid - 1}]);"
                    "for (let turn = 0; turn < 2; turn++)"
                    "for (const one of document.querySelectorAll('#pane button'))"
                    "if (/^(Show|… all)/.test(one.textContent)) one.click()")
        panes += browser.run("pane.innerText")
        if browser.run(STRANGE) != 0 or browser.run(PWNED):
            wrong.append(pid)
    result("page: nor in the panes of processes", not wrong, wrong)
    missing = [visible(text) for r in records if r["type"] == "process"
               for text in r.get("argv", []) + r.get("environ", []) + [r["comm"]]
               if visible(text)[:4000] not in panes]
    result("page: arguments and environments are whole in them", not missing, missing)
    result("page: escapes are told from text",
           browser.run("[...document.querySelectorAll('#sections .escape')]"
                       ".some(e => e.textContent === '\\\\u202e') &&"
                       "![...document.querySelectorAll('bdi')]"
                       ".some(e => /[\\u0000-\\u0008\\u202e\\u200b]/.test(e.textContent))"))
    result("page: nothing was asked of anybody, nothing failed", not quiet(browser, path),
           quiet(browser, path))


def policy(browser, path):
    """Even a script or handler that got into the page would not run."""
    browser.open(url(path))
    browser.run("""new Promise(done => {
        window.refused = [];
        document.addEventListener('securitypolicyviolation',
            event => window.refused.push(event.effectiveDirective));
        const script = document.createElement('script');
        script.textContent = 'document.documentElement.dataset.pwned = 1';
        document.body.append(script);
        document.body.insertAdjacentHTML('beforeend',
            '<img src=data:, onerror="document.documentElement.dataset.pwned = 1">' +
            '<a id=evil href="javascript:document.documentElement.dataset.pwned=1">x</a>' +
            '<style>body { display: none }</style>' +
            '<iframe src="data:text/html,x"></iframe>');
        document.getElementById('evil').click();
        fetch('data:,x').catch(() => {}).finally(() => setTimeout(done, 300));
    })""")
    refused = set(browser.run("window.refused"))
    result("page: the policy refuses injected scripts, handlers, styles, frames, requests",
           not browser.run(PWNED) and
           {"script-src-elem", "style-src-elem", "img-src", "frame-src",
            "connect-src"} <= refused, sorted(refused))
    result("page: and what it refused changed nothing",
           browser.run("getComputedStyle(document.body).display") == "block")


def search_for(browser, query):
    """How many records a search finds, and what is then in the page."""
    browser.run(f"document.getElementById('search').value = {json.dumps(query)}; runSearch()")
    return browser.run("found ? found.reduce((sum, hit) => sum + hit, 0) : -1")


def searching(browser, path, records):
    """One search over everything, held against a search of our own."""
    browser.open(url(path))

    def has(value, query):
        if isinstance(value, dict):
            if "base64" in value:
                return query in visible(value).lower()
            return any(has(v, query) for v in value.values())
        if isinstance(value, list):
            return any(has(v, query) for v in value)
        return query in str(value).lower()

    for query in ("worker-77", "192.0.2.7", "path", "kprobe", '"><img', "</script>",
                  "verysecret", "hebrew", "not utf-8", "nobody has this", "4026531841",
                  "'>", "=cmd|", "{7*7}"):
        expected = sum(has(r, query) for r in records)
        got = search_for(browser, query)
        result(f"search: {query}", got == expected, (got, expected))
    result("search: what is shown as an escape is found by it",
           search_for(browser, "invoice\\u202efdp") == sum("\\u202e" in json.dumps(r)
                                                          for r in records))
    search_for(browser, "worker-77")
    lines = browser.run("[...document.querySelectorAll('.tree .comm')]"
                        ".map(e => e.textContent)")
    result("search: the tree keeps who is found and his ancestors",
           "worker-77" in lines and len(lines) < 6, lines)


def keys(browser, path):
    """Without a mouse."""
    browser.open(url(path))

    def press(key, code=0):
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key=key,
                         windowsVirtualKeyCode=code, text="\r" if key == "Enter" else "")

    browser.run("document.querySelector('.tree .line').focus()")
    press("ArrowDown", 40)
    second = browser.run("document.activeElement === document.querySelectorAll('.line')[1]")
    count = browser.run("document.querySelectorAll('.line').length")
    press("ArrowUp", 38)
    press("ArrowLeft", 37)
    closed = browser.run("document.querySelectorAll('.line').length")
    press("ArrowRight", 39)
    opened = browser.run("document.querySelectorAll('.line').length")
    press("Enter", 13)
    pane = browser.run("!pane.hidden && document.activeElement.textContent")
    press("Escape", 27)
    back = browser.run("pane.hidden && document.activeElement.className.includes('line')")
    result("keys: arrows move, close and open in the tree",
           second and closed < count == opened, (second, count, closed, opened))
    result("keys: Enter opens the pane, Escape goes back", pane and back, (pane, back))
    press("/", 191)
    result("keys: / goes to the search", browser.run("document.activeElement.id") == "search")


def looks(browser, path):
    """Sorting, dark and light, print."""
    browser.open(url(path))
    ports = ("[...document.querySelectorAll('#connections tbody tr')]"
             ".map(tr => +tr.cells[1].textContent.split(':').pop())")
    browser.run("document.querySelectorAll('#connections th button')[1].click()")
    up = browser.run(ports)
    browser.run("document.querySelectorAll('#connections th button')[1].click()")
    down = browser.run(ports)
    result("table: a click sorts, another turns it", up == sorted(up) and
           down == sorted(down, reverse=True) and len(up) == 30, (up[:5], down[:5]))
    colours = []
    for scheme in ("light", "dark"):
        browser.call("Emulation.setEmulatedMedia",
                     features=[{"name": "prefers-color-scheme", "value": scheme}])
        colours.append(browser.run("getComputedStyle(document.body).backgroundColor"))
    result("page: dark where the reader wants it", colours[0] == "rgb(255, 255, 255)" and
           colours[0] != colours[1], colours)
    pdf = base64.b64decode(browser.call("Page.printToPDF")["data"])
    result("page: it can be printed", pdf.startswith(b"%PDF-") and len(pdf) > 20000,
           len(pdf))


def amounts(browser, cut, many):
    """Records that end early, and many of them."""
    browser.open(url(cut))
    text = browser.run(TEXT)
    result("page: records without an end are said to be incomplete",
           "Incomplete" in text and "cut short" in text and not quiet(browser, cut),
           text[:300])
    browser.open(url(many))
    result("page: of many processes no more than a pageful is drawn",
           browser.run("processes.size") == 3000 and
           browser.run("document.querySelectorAll('.line').length") == 100 and
           browser.run("document.querySelectorAll('*').length") < 12000,
           browser.run("document.querySelectorAll('*').length"))


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        records = [json.loads(line) for line in file]
    browser = Browser()
    try:
        payloads(browser, sys.argv[2], records)
        policy(browser, sys.argv[2])
        searching(browser, sys.argv[2], records)
        keys(browser, sys.argv[2])
        looks(browser, sys.argv[2])
        amounts(browser, sys.argv[3], sys.argv[4])
    finally:
        browser.close()
    sys.exit(failed)


main()
