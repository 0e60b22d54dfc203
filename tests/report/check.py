#!/usr/bin/env python3
"""The derived outputs, read by nothing of ours: check.py RECORDS DIR MACTIME."""
import base64
import datetime
import hashlib
import html.parser
import json
import re
import sys

failed = False
# What a terminal or an editor would obey.
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]")


def result(name, wrong):
    """Prints a line, and what is wrong."""
    global failed
    print(f"{'FAIL' if wrong else 'ok'} {name}")
    for item in wrong[:5]:
        failed = True
        print(f"  {item!r}"[:400])


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def timesketch(text, records):
    """What Timesketch asks for, by its guide to importing JSONL."""
    wrong, count = [], {}
    for line in text.splitlines():
        event = json.loads(line)
        when = datetime.datetime.fromisoformat(event["datetime"])
        if when.tzinfo is None or not event["message"] or not event["timestamp_desc"]:
            wrong.append(event)
        if not all(isinstance(event[k], str) for k in
                   ("message", "datetime", "timestamp_desc", "data_type")):
            wrong.append(event)
        wrong += [v for v in event.values() if isinstance(v, str) and
                  (OBEYED.search(v) or len(v.encode()) > 32766)]
        count[event["data_type"]] = count.get(event["data_type"], 0) + 1
    result("timesketch: every event has what is asked for, and shows what it holds", wrong)
    files = [r for r in records if r["type"] == "file"]
    times = sum(1 for r in files for k in ("atime", "mtime", "ctime", "btime") if r[k])
    expected = {"fvol:triage:" + t: sum(1 for r in records if r["type"] == t)
                for t in ("header", "process", "session", "bpf", "unit", "finding")}
    expected.update({"fvol:triage:file": times, "fvol:triage:boot": 1})
    result("timesketch: an event for each time", [(count, expected)]
           if count != expected else [])


def bodyfile(text, records, timeline):
    """Eleven fields, whole numbers, a mode as ls writes it; mactime understands it."""
    form = re.compile(r"0\|[^|]*\|\d+\|(.)/[-pcdbrlh]([-r][-w][-xsS]){2}[-r][-w][-xtT]"
                      r"\|\d+\|\d+\|\d+(\|-?\d+){4}")
    lines = text.split("\n")[:-1]
    files = [r for r in records if r["type"] == "file"]
    wrong = [line for line in lines if not form.fullmatch(line) or OBEYED.search(line) or
             re.search("%[0-9a-fA-F]{2}", line)]
    if len(lines) != len(files):
        wrong.append((len(lines), len(files)))
    result("bodyfile: each file is a line of eleven fields", wrong)
    wrong = [line for line, file in zip(lines, files)
             if (" (deleted)|" in line) != file["deleted"]]
    result("bodyfile: deleted files say so", wrong)
    names = {line.split("|")[1] for line in lines}
    seen = {name for name in names if name in timeline}
    result("bodyfile: mactime shows each name as it stands",
           sorted(names - seen) + OBEYED.findall(timeline))


def varc(processes, files, records):
    """The columns of varc's tables, in their order."""
    columns = ["Process ID", "Name", "Username", "Status", "Executable Path", "Command",
               "Parent ID", "Creation Time", "Open Files", "Connections",
               "Mapped Filepaths"]
    table = json.loads(processes)
    wrong = [row for row in table["rows"] if list(row) != columns]
    if table["format"] != "CadoJsonTable":
        wrong.append(table["format"])
    if len(table["rows"]) != sum(r["type"] == "process" for r in records):
        wrong.append(len(table["rows"]))
    for row in table["rows"]:
        wrong += [v for v in (str(v).replace("\r\n", "") for v in row.values())
                  if OBEYED.search(v)]
    result("varc: processes.json has its columns, a row for each process", wrong)
    connected = {owner["pid"] for r in records if r["type"] == "socket" and
                 r["protocol"] == "tcp" for owner in r["owners"]}
    got = {row["Process ID"] for row in table["rows"] if row["Connections"]}
    result("varc: each process has its connections", [connected ^ got]
           if connected != got else [])
    table = json.loads(files)
    wrong = [row for row in table["rows"] if list(row) != ["Open File"] or
             OBEYED.search(row["Open File"])]
    if len(table["rows"]) != sum(r["type"] == "file" for r in records):
        wrong.append(len(table["rows"]))
    result("varc: open_files.json has its column, a row for each file", wrong)


class Page(html.parser.HTMLParser):
    """The page as a browser's parser sees it, near enough: elements and scripts."""

    def __init__(self):
        super().__init__()
        self.elements, self.scripts, self.styles, self.policy = [], [], [], ""
        self.into = None

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.elements.append((tag, attrs))
        self.into = None
        if tag in ("script", "style"):
            self.into = (self.styles if tag == "style" else self.scripts)
            self.into.append([attrs.get("type"), ""])
        if attrs.get("http-equiv") == "Content-Security-Policy":
            self.policy = attrs["content"]

    def handle_endtag(self, tag):
        self.into = None

    def handle_data(self, data):
        if self.into is not None:
            self.into[-1][1] += data


def report(text, records):
    """One script that runs, everything else data; nothing of another place."""
    page = Page()
    page.feed(text)
    run = [s for kind, s in page.scripts if kind is None]
    data = [s for kind, s in page.scripts if kind == "application/json"]
    wrong = []
    if len(run) != 1 or len(run) + len(data) != len(page.scripts) or len(page.styles) != 1:
        wrong.append((len(run), len(data), len(page.scripts), len(page.styles)))
    known = {"html", "head", "meta", "title", "style", "body", "noscript", "p", "header",
             "div", "label", "input", "span", "nav", "ul", "main", "aside", "script"}
    wrong += [e for e in page.elements if e[0] not in known or
              {"src", "href", "style"} & set(e[1]) or any(k.startswith("on") for k in e[1])]
    result("report: no element but the page's own, nothing from elsewhere", wrong)

    def named(content):
        digest = hashlib.sha256(content.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    policy = (f"default-src 'none'; script-src {named(run[0])}; "
              f"style-src {named(page.styles[0][1])}; base-uri 'none'; form-action 'none'")
    result("report: the policy names the script and the style by their hashes",
           [page.policy] if page.policy != policy else [])
    copies = [record for block in data for record in json.loads(block)]
    result("report: every record is in it", [(len(copies), len(records))]
           if len(copies) != len(records) else [])
    result("report: data is ASCII, and holds nothing that markup is made of",
           [block for block in data if re.search("[^\n -~]|[<>&]", block)])
    long = [c for c in copies if "a" * 4097 in json.dumps(c)]
    cut = [c for c in copies if '"cut_bytes": 1904' in json.dumps(c)]
    result("report: long texts are cut, and say by how much",
           long + ([] if cut else ["none was cut"]))


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        records = [json.loads(line) for line in file]
    place = sys.argv[2]
    timesketch(read(f"{place}/timesketch.jsonl"), records)
    bodyfile(read(f"{place}/bodyfile.txt"), records, read(sys.argv[3]))
    varc(read(f"{place}/processes.json"), read(f"{place}/open_files.json"), records)
    report(read(f"{place}/report.html"), records)
    sys.exit(failed)


main()
