#!/usr/bin/env python3
"""Records of a host that was never there: records.py PROCESSES > triage.jsonl. Every
text of an attacker's is one of PAYLOADS in turn."""
import base64
import json
import sys

MARK = "document.documentElement.dataset.pwned=1"
PAYLOADS = [
    f"<script>{MARK}</script>",
    f"</script><script>{MARK}</script>",
    f"]</script><!--<script>{MARK}//",
    f'"><img src=x onerror={MARK}>',
    f"'><svg onload={MARK}>",
    f"javascript:{MARK}",
    f"<a href=\"javascript:{MARK}\">x</a>",
    f"<iframe srcdoc=\"<script>parent.{MARK}</script>\">",
    "<meta http-equiv=refresh content=0;url=https://evil.example/>",
    "<link rel=stylesheet href=https://evil.example/a.css><img src=//evil.example/i>",
    "<base href=https://evil.example/>",
    "</style><style>*{display:none}",
    "\x1b[2J\x1b]0;owned\x07",
    "invoice\u202efdp.exe",
    "zero\u200bwidth\ufeff\u2066",
    "line\nbreak\r\nand\ttab\x00nul",
    b"\xff\xfe not utf-8 <b>\x9b31m",
    "pipe|in|path%0a%1b[2J",
    '=cmd|"/c calc"!A1,"quoted",;\t@SUM(1)',
    "\u2028line\u2029separators</script>",
    "__proto__", "constructor", "${7*7}{{7*7}}", "&lt;b&gt;&#x3c;",
    "\U000e0041tags", "\u05d0\u05d1\u05d2 hebrew", "a" * 6000,
]
TIME = "2026-11-22T03:50:%02d.123456789Z"
turns = {}


def text(value):
    """The schema's form of a text."""
    data = value if isinstance(value, bytes) else value.encode()
    try:
        if b"\0" not in data:
            return data.decode()
    except UnicodeDecodeError:
        pass
    return {"base64": base64.b64encode(data).decode()}


def hostile(before=""):
    """The next payload of the place in this file that asks."""
    place = (sys._getframe(1).f_lineno, before)
    turns[place] = turns.get(place, -1) + 1
    payload = PAYLOADS[turns[place] % len(PAYLOADS)]
    if isinstance(payload, bytes):
        return text(before.encode() + payload)
    return text(before + payload)


def emit(**record):
    """A line, as the tool writes them."""
    line = json.dumps(record, separators=(",", ":"))
    print(line.replace("\x7f", "\\u007f"))


def process(pid):
    """One of many; every 40th is a kernel thread, every 100th is marked."""
    kernel = pid % 40 == 2
    record = {
        "type": "process", "time": TIME % 1, "pid": pid, "start_ticks": pid * 3,
        "ppid": 0 if pid == 1 else 2 if kernel and pid != 2 else 1 + pid % 17 * (pid > 40),
        "pgrp": pid, "session": pid, "tty": 0, "threads": 1, "start": TIME % (pid % 60),
        "coherent": pid % 500 != 7, "state": "S", "kernel_thread": kernel,
        "flags": "400100", "comm": hostile()
        if pid % 9 == 4 else f"worker-{pid}"[:15],
        "uid": [pid % 5] * 4, "gid": [0] * 4, "groups": [0, 4, 27], "loginuid": None,
        "capabilities": {"effective": "1ffffffffff", "permitted": "400"},
        "seccomp": 0, "label": "unconfined",
        "namespaces": {"net": 4026531840 + pid % 3, "mnt": 4026531841, "pid": 4026531836},
        "cgroups": [{"hierarchy": 0, "controllers": "", "path": f"/system.slice/{pid}"}],
        "fds": [], "maps": {"count": 0, "bytes": 0, "files": []}, "sockets": [],
    }
    if pid % 10 == 3:
        record["container"] = {"runtime": "docker", "id": f"{pid:064x}",
                               "source": "cgroup"}
    if kernel:
        return record
    record["exe"] = {
        "path": hostile("/usr/bin/") if pid % 9 == 5 else f"/usr/bin/worker{pid % 30}",
        "deleted": pid % 100 == 50, "memfd": False, "dev": "8:1", "inode": 2**60 + pid,
        "mode": "100755", "size": 123456, "sha256": f"{pid % 30:064x}"}
    record["argv"] = [f"/usr/bin/worker{pid % 30}", "--serve", "", hostile(), hostile()]
    record["argv_bytes"] = 99
    record["environ"] = [f"VARIABLE_{i}=value of number {i}" for i in range(25)] + \
        ["AWS_SECRET_ACCESS_KEY=verysecret", hostile("X=")]
    record["cwd"] = hostile("/srv/")
    record["root"] = "/"
    record["fds"] = [
        {"fd": i, "target": f"/var/log/service/{i}.log" if i else hostile("/tmp/"),
         "kind": "file", "flags": "0100002", "offset": 0, "dev": "8:1", "inode": 77 + i}
        for i in range(16)]
    record["maps"] = {
        "count": 80, "bytes": 123456789,
        "files": [{"path": f"/usr/lib/x86_64-linux-gnu/lib{i}.so.6", "dev": "8:1",
                   "inode": 1000 + i, "deleted": False, "exec": True, "bytes": 65536}
                  for i in range(22)],
        "anonymous_exec": [{"start": "7f0000000000", "end": "7f0000001000",
                            "perms": "rwxp"}] if pid % 100 == 50 else [],
        "anonymous_exec_count": int(pid % 100 == 50)}
    record["sockets"] = [90000 + pid]
    if pid % 30 == 9:
        record["unread"] = [{"what": "environ", "reason": "yama", "errno": "EPERM"}]
    return record


def main():
    count = int(sys.argv[1])
    emit(type="header", schema="fvol-triage/1",
         tool={"version": "0.1.0", "sha256": "00" * 32, "arguments": [hostile()]},
         time=TIME % 0, instance=hostile("i-"), hostname=hostile("host"), release="6.1.0",
         version="#1 SMP", machine="x86_64", boot_time="2026-11-20T00:00:00.000000000Z",
         boot_id="00000000-0000-0000-0000-000000000000", pid=99, uid=0,
         capabilities="1ffffffffff", namespaces={"net": 4026531840}, container=None,
         yama=1, hidepid=None, redacted=False, sensitive=True)
    for pid in range(1, count + 1):
        emit(**process(pid))
    for i, _ in enumerate(PAYLOADS):
        emit(type="file", path=hostile("/etc/"), dev="8:1", inode=i + 1,
             mode=["100644", "104755", "40755", "120777"][i % 4], uid=0, gid=i, size=i,
             nlink=1, atime=TIME % 1, mtime="1969-12-31T23:59:59.5Z", ctime=TIME % 3,
             btime=None if i % 2 else TIME % 4, deleted=i % 3 == 0, roles=["exe"],
             pids=[1, 2])
        emit(type="module", name=hostile(), size=4096, used_by=[hostile()],
             state="Live", taint="OE", views=["proc", "sysfs"])
        emit(type="unit", kind="cron", path=hostile("/etc/cron.d/"), lines=[hostile()],
             enabled=True, mtime=TIME % 5)
        emit(type="session", user=hostile(), line="pts/0", host=hostile(),
             address="192.0.2.1", pid=1, time=TIME % 6, source="utmp")
        emit(type="bpf", kind="program", id=i, program_type="kprobe", name=hostile(),
             tag="00", loaded=TIME % 7, uid=0, owners=[{"pid": 1, "fd": 3}])
        emit(type="mount", mntns=1, id=i, parent=0, dev="0:1", root="/",
             point=hostile("/mnt/"), options="rw", filesystem="ext4", source=hostile())
        emit(type="recovered", pid=50, start_ticks=150, what="exe", path=hostile(),
             size=99, sha256="11" * 32, stored=f"recovered/{i}", complete=True, data=[[0, 99]])
        emit(type="unread", what=hostile("/proc/"), reason="lsm", errno="EACCES")
        emit(type="finding", kind="deleted_executable",
             severity=["high", "medium", "low"][i % 3], text=hostile("It says "),
             subject={"pid": 50, "start_ticks": 150}, rechecked=2,
             evidence={"readdir": hostile(), "signal": "exists"})
        emit(type="lead", kind=hostile(), text=hostile("It may be "), subject={"path": hostile()},
             evidence={"log": hostile()})
        emit(type="socket", netns=4026531840, protocol="unix", state="LISTEN", inode=i,
             path=hostile("@"), kind="stream", owners=[], views=["proc"])
        emit(type=PAYLOADS[i] if isinstance(PAYLOADS[i], str) else "odd", value=hostile())
    for pid in range(1, count + 1, 4):
        emit(type="socket", netns=4026531840 + pid % 3, protocol="tcp",
             local={"address": "10.0.0.1", "port": 1024 + pid % 60000},
             remote={"address": "2001:db8::1" if pid % 8 == 1 else "192.0.2.7",
                     "port": 443}, state="ESTABLISHED", uid=0, inode=90000 + pid,
             owners=[{"pid": pid, "start_ticks": pid * 3, "fd": 7}],
             views=["proc", "netlink"])
    emit(type="socket", netns=4026531840, protocol="tcp6",
         local={"address": "::", "port": 22}, remote={"address": "::", "port": 0},
         state="LISTEN", uid=0, inode=5, owners=[{"pid": 1, "start_ticks": 3, "fd": 3}],
         views=["proc"])
    emit(type="kernel", taint=4096, taint_flags=["OOT_MODULE"], command_line=hostile(),
         kprobes=[{"address": "ffffffff81000000", "kind": "k", "symbol": hostile()}],
         ftrace=[{"function": "__x64_sys_getdents64", "module": None, "hook": hostile(),
                  "raw": hostile()}], ld_so_preload=hostile(), core_pattern=hostile("|/"))
    emit(type="end", time=TIME % 9, duration_ns=1, processes=count, coherent=count,
         sockets=1, findings={"high": 9}, unread={"lsm": len(PAYLOADS), "yama": 3},
         recovered=1, complete=False)


main()
