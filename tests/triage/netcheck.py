"""Holds the records of collect_network() against what netsockets.py opened and ss saw.

netcheck.py DIR [BOUND]: prints "ok NAME" or "FAIL NAME" for each thing that is checked;
sockets with a path were bound in the directory BOUND (DIR itself). Where ss did not look, as in guests that have none, what was opened is all there is to hold it to.
"""
import base64
import json
import os
import re
import sys

DIR = sys.argv[1]
BOUND = sys.argv[-1]
NAMES = ["first", "second", "third", "fourth"]
failed = False


def check(name, good, detail=""):
    global failed
    failed |= not good
    print(("ok " if good else "FAIL ") + name, flush=True)
    if not good:
        print("   ", detail, flush=True)


def text(value):
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return value.encode() if value is not None else None


records = [json.loads(line) for line in open(f"{DIR}/out", encoding="ascii")]
sockets = [r for r in records if r["type"] == "socket"]
spaces = {r["inode"]: r for r in records if r["type"] == "namespace"}
findings = [r for r in records if r["type"] == "finding"]
by_inode = {}
for record in sockets:
    by_inode.setdefault(record["inode"], []).append(record)

check("each namespace once", len(spaces) == 4, [hex(i) for i in spaces])
netns = {}
for name in NAMES:
    wrong = []
    for line in open(f"{DIR}/{name}", encoding="utf-8", errors="surrogateescape"):
        fields = line.split()
        if not fields[0].isdigit():
            continue
        inode, pid, fd, protocol, state, *rest = fields
        found = by_inode.get(int(inode), [])
        if len(found) != 1:
            wrong.append((line, found))
            continue
        record = found[0]
        good = record["protocol"] == protocol
        good &= record.get("state", "-") == state
        owners = [(o["pid"], o["fd"]) for o in record["owners"]]
        # One that was sent away and not received has none.
        good &= owners == ([] if rest[:1] == ["sent"] else [(int(pid), int(fd))])
        if protocol[:3] in ("tcp", "udp", "raw") and rest[:1] != ["sent"]:
            good &= record["local"] == {"address": rest[0], "port": int(rest[1])}
        if protocol == "packet":
            good &= record["ethertype"] == rest[0] and record["kind"] == "raw"
        if protocol == "netlink":
            good &= record["kind"] == rest[0]
        if rest[:1] == ["path"]:
            good &= text(record["path"]) == f"{BOUND}/{name} ".encode() + b"\xff\x1b[31m"
        if rest[:1] == ["abstract"]:
            # With its own bytes where netlink tells, with what /proc makes of it else.
            good &= text(record["path"]) in (
                b"@abs\0" + name.encode(), b"@abs@" + name.encode())
        if "netlink" in record["views"]:
            good &= protocol != "unix" or rest[:1] != ["abstract"] or \
                b"\0" in text(record["path"])
        if not good:
            wrong.append((line, record))
        netns[name] = record["netns"]
    check(f"sockets of the {name} namespace are as they were opened", not wrong, wrong)
check("each in its own namespace", len(set(netns.values())) == 4, netns)

for name in [n for n in NAMES if os.path.exists(f"{DIR}/{n}.ss")]:
    seen = {}
    for line in open(f"{DIR}/{name}.ss", encoding="utf-8", errors="surrogateescape"):
        family, rest = line.split(" ", 1)
        if family in ("-w4", "-w6"):
            # Without raw_diag ss does not know the inodes.
            seen[family] = {*seen.get(family, ()), len(seen.get(family, ()))}
            continue
        if family == "-x":
            # Name and inode, twice: the socket's own comes first.
            inode = re.search(r" (\d+) \* \d+\s+<->", rest)
        else:
            inode = re.search(r"\bino:(\d+)", rest)
        if inode:
            seen.setdefault(family, set()).add(int(inode.group(1)))
    ours = {}
    for record in sockets:
        if record["netns"] != netns[name] or not record["inode"]:
            continue
        family = {"tcp": "-t4", "tcp6": "-t6", "udp": "-u4", "udp6": "-u6",
                  "raw": "-w4", "raw6": "-w6", "unix": "-x",
                  "packet": "-0"}.get(record["protocol"])
        if family and record["inode"] != 4242424242:
            ours.setdefault(family, set()).add(record["inode"])
    for family in ("-w4", "-w6"):
        ours[family] = set(range(len(ours[family])))
    check(f"ss sees the same sockets in the {name} namespace",
          ours == seen and len(ours) == 8, (ours, seen))

for name in NAMES:
    record = spaces[netns[name]]
    check(f"the interface of the {name} namespace",
          [i["name"] for i in record["interfaces"]] == ["lo"]
          and record["interfaces"][0]["addresses"] == ["127.0.0.1/8", "::1/128"]
          and record["interfaces"][0]["promiscuous"] == (name == "second")
          and any(r["destination"] == "127.0.0.0" and r["prefix"] == 8
                  and r["table"] == 255 and r["interface"] == 1
                  for r in record["routes"]), record)
check("where nobody lives",
      [spaces[netns[n]]["pids"] > 0 for n in NAMES] == [True, True, False, False])

hidden = [f for f in findings if f["kind"] == "hidden_socket"]
both = any("netlink" in r["views"] for r in sockets if r["protocol"] == "unix")
check("a line that was made up is found in each, and nothing else hidden",
      sorted(f["subject"]["netns"] for f in hidden) ==
      (sorted(netns.values()) if both else [])
      and all(f["subject"]["inode"] == 4242424242 and f["rechecked"] == 3
              and f["evidence"]["netlink"] == "not shown" for f in hidden), hidden)

sent = set()
for name in NAMES:
    for line in open(f"{DIR}/{name}", encoding="utf-8", errors="surrogateescape"):
        if " sent" in line:
            sent.add(int(line.split()[0]))
unowned = {f["subject"]["inode"] for f in findings if f["kind"] == "unowned_socket"}
# What lives elsewhere may hold sockets here: of the last two nothing is known.
check("a socket on its way between processes is nobody's, no other is",
      unowned == sent and len(sent) == 4, (unowned, sent))

for kind, protocols in (("packet_socket", ["packet"]), ("raw_socket", ["raw", "raw6"])):
    found = {f["subject"]["inode"]: f for f in findings if f["kind"] == kind}
    there = {r["inode"]: r for r in sockets if r["protocol"] in protocols}
    check(f"a {kind} is said of each, with who holds it",
          set(found) == set(there) and len(found) >= 4
          and all(f"(pid {there[i]['owners'][0]['pid']})" in found[i]["text"]
                  and found[i]["severity"] == (
                      "medium" if kind == "packet_socket"
                      and there[i]["netns"] == netns["second"] else "low")
                  for i in found), found)
sys.exit(failed)
