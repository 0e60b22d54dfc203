"""Reads the records of triage (docs/triage-records.md) by nothing but their document.

records.py FILE [FILE...]: checks that each is whole, one object a line, ASCII, without
control bytes, and that what its `end` counts is what stands in it.
"""

import base64
import json
import re
import sys

SEVERITIES = ("high", "medium", "low")
REASONS = {
    "capability", "yama", "hidepid", "seccomp", "lsm", "user_namespace", "gone", "blocked",
    "too_large", "not_supported", "would_change_host", "error",
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")


class Wrong(Exception):
    """Something is not as it must be; the text says what."""


def check(condition, said):
    if not condition:
        raise Wrong(said)


def text(value):
    """The bytes of a text of the schema."""
    if isinstance(value, dict):
        check(set(value) == {"base64"}, f"not a text: {value!r}")
        raw = base64.b64decode(value["base64"], validate=True)
        try:
            raw.decode()
            check(b"\0" in raw, f"base64 although it is UTF-8: {raw!r}")
        except UnicodeDecodeError:
            pass
        return raw
    check(isinstance(value, str), f"not a text: {value!r}")
    return value.encode()


def texts(values):
    return [text(value) for value in values]


def same(what, got, planted):
    """Compares bytes, or lists of them, and shows the first difference only."""
    if got == planted:
        return
    if isinstance(got, list) and isinstance(planted, list):
        check(len(got) == len(planted),
              f"{what}: {len(got)} words, planted were {len(planted)}: {str(got)[:300]}")
        for i, (a, b) in enumerate(zip(got, planted)):
            same(f"{what}[{i}]", a, b)
    raise Wrong(f"{what}: {str(got)[:200]}, planted was {str(planted)[:200]}")


class Records:
    """All records of a run, whole or cut short (whole=False)."""

    def __init__(self, data, whole=True):
        check(data.isascii(), "the records are not ASCII")
        check(not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", data), "a control byte is not escaped")
        lines = data.split(b"\n")
        check(not whole or lines[-1] == b"", "the last line has no end")
        self.all = []
        for number, line in enumerate(lines[:-1], 1):
            try:
                self.all.append(json.loads(line))
            except ValueError as why:
                raise Wrong(f"line {number}: {why}: {line[:120]!r}") from None
        check(self.all, "no records")
        self.header = self.all[0]
        self.end = self.all[-1] if self.all[-1]["type"] == "end" else None
        check(self.header["type"] == "header", "the first record is no header")
        check(not whole or self.end, "the last record is no end")
        self.processes = self.of("process")
        self.by_pid = {}
        for process in self.processes:
            check(process["pid"] not in self.by_pid or "start_ticks" not in process or
                  self.by_pid[process["pid"]].get("start_ticks") != process["start_ticks"],
                  f"process {process['pid']} has two records")
            self.by_pid[process["pid"]] = process
        if self.end:
            self.check_counts()
        self.check_forms()

    def of(self, kind):
        return [record for record in self.all if record["type"] == kind]

    def process(self, pid):
        check(pid in self.by_pid, f"process {pid} has no record")
        return self.by_pid[pid]

    def findings(self, kind, pid=None):
        return [finding for finding in self.of("finding") if finding["kind"] == kind and
                (pid is None or finding["subject"].get("pid") == pid)]

    def finding(self, kind, pid):
        found = self.findings(kind, pid)
        check(len(found) == 1, f"{len(found)} findings {kind} for process {pid}: {found}")
        if "start_ticks" in self.by_pid.get(pid, {}):
            check(found[0]["subject"].get("start_ticks") == self.by_pid[pid]["start_ticks"],
                  f"{kind}: start_ticks are not those of process {pid}")
        return found[0]

    def unread(self, process, what):
        """Why something of a process was not read; None when it was."""
        for entry in process.get("unread", []):
            if entry["what"] == what:
                return entry["reason"]
        return None

    def recovered(self, pid, what):
        found = [record for record in self.of("recovered")
                 if record["pid"] == pid and record["what"] == what]
        check(len(found) == 1, f"{len(found)} files saved as {what} of process {pid}")
        return found[0]

    def check_counts(self):
        counts = {severity: 0 for severity in SEVERITIES}
        for finding in self.of("finding"):
            counts[finding["severity"]] += 1
        check(self.end["findings"] == counts,
              f"end counts {self.end['findings']}, there are {counts}")
        check(self.end["processes"] == len(self.processes),
              f"end counts {self.end['processes']} processes, there are {len(self.processes)}")
        coherent = sum(process["coherent"] for process in self.processes)
        check(self.end["coherent"] == coherent,
              f"end counts {self.end['coherent']} coherent, there are {coherent}")
        saved = sum(record["complete"] for record in self.of("recovered")
                    if record["what"] != "memory" or "stored" in record)
        check(self.end["recovered"] >= saved, "end counts fewer recovered than there are")
        unread = {}
        for record in self.of("unread"):
            unread[record["reason"]] = unread.get(record["reason"], 0) + 1
        for process in self.processes:
            for entry in process.get("unread", []):
                unread[entry["reason"]] = unread.get(entry["reason"], 0) + 1
        check(self.end["unread"] == unread,
              f"end counts unread {self.end['unread']}, there are {unread}")

    def check_forms(self):
        for process in self.processes:
            for entry in process.get("unread", []):
                check(entry["reason"] in REASONS, f"no reason of the schema: {entry}")
            if "start" in process:
                check(TIME.fullmatch(process["start"]), f"no time: {process['start']}")
        for record in self.of("unread"):
            check(record["reason"] in REASONS, f"no reason of the schema: {record}")
        for finding in self.of("finding"):
            check(finding["severity"] in SEVERITIES, f"no severity: {finding}")
            check(isinstance(finding["subject"], dict), f"no subject: {finding}")


def main():
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            records = Records(file.read())
        print(f"{path}: {len(records.all)} records, {len(records.processes)} processes")


if __name__ == "__main__":
    try:
        main()
    except Wrong as wrong:
        sys.exit(f"records: {wrong}")
