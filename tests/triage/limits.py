"""Cases: what may not be read, and what cannot."""

import os
import resource
import signal
import subprocess
import sys
import time

from records import check, same, texts
from space import (NOBODY, REFUSE, ROOT, SPACE, Plant, call, command_of, everybody, evidence,
                   libc, mount, read, records, triage, without, write)


def accounted(found, plants):
    """Everybody has a record or is listed; nobody is called hidden."""
    check(not found.findings("hidden_process"),
          f"called hidden: {found.findings('hidden_process')[:3]}")
    listed = {int(entry["what"].split()[1]): entry["reason"] for entry in found.of("unread")
              if entry["what"].startswith("process ")}
    for plant in plants:
        check(plant.pid in found.by_pid or plant.pid in listed,
              f"process {plant.pid} is neither recorded nor listed")
    return listed


def nobody():
    """without any capability: what is refused is listed, with the capability"""
    mine = Plant([b"of nobody"], before=lambda: (os.setgid(65534), os.setuid(65534)))
    others = [Plant([b"of root", bytes([65 + i])], [b"SECRET=1"]) for i in range(3)]
    found = records(under=NOBODY, code=3)
    listed = accounted(found, [mine, *others])
    check(not listed, f"listed as a whole: {listed}")
    for plant in others:
        process = found.process(plant.pid)
        same("argv", texts(process["argv"]), plant.argv)
        check("environ" not in process and "sha256" not in process.get("exe", {}),
              "read without the right to")
        for what in ("environ", "exe", "fd", "maps", "cwd", "root", "ns"):
            same(f"why {what} was not read", found.unread(process, what), "capability")
    same("capabilities", int(found.header["capabilities"], 16), 0)
    check(not found.end["complete"], "called complete")
    process = found.process(mine.pid)
    same("uid", process["uid"], [65534] * 4)


def hidepid():
    """hidepid=2: the processes of others are listed as that, and not called hidden"""
    mount("-o", "remount,hidepid=2", "none", "/proc")
    mine = Plant([b"of nobody"], before=lambda: (os.setgid(65534), os.setuid(65534)))
    others = [Plant([b"of root"]) for _ in range(3)]
    found = records(under=NOBODY, code=3)
    listed = accounted(found, [mine, *others])
    for plant in others:
        same(f"why process {plant.pid} was not read", listed.get(plant.pid), "hidepid")
    same("argv", texts(found.process(mine.pid)["argv"]), mine.argv)
    check(found.header["hidepid"] in ("2", "invisible"), found.header.get("hidepid"))


def hidepid_ptrace():
    """hidepid=2 with CAP_SYS_PTRACE: everybody is there"""
    mount("-o", "remount,hidepid=2", "none", "/proc")
    plants = [Plant([b"of nobody"], before=lambda: (os.setgid(65534), os.setuid(65534))),
              Plant([b"of root"])]
    found = records(under=without("sys_admin"))
    check(not accounted(found, plants), "listed as hidden by hidepid")
    for plant in plants:
        same("argv", texts(found.process(plant.pid)["argv"]), plant.argv)
        check("unread" not in found.process(plant.pid), "something was not read")


def seccomp():
    """a filter refuses kill, pidfd_open, ptrace, bpf and fsopen: nothing is made up"""
    plants = [Plant([b"plain"]), Plant([b"threads"], mode="threads 10")]
    for under in ([REFUSE], [*NOBODY, REFUSE]):
        found = records(under=under, code=3)
        check(not accounted(found, plants), "listed although /proc shows them")
        for plant in plants:
            same("argv", texts(found.process(plant.pid)["argv"]), plant.argv)
        check(not found.header["detached_procfs"], "fsopen was not refused")
        reasons = [entry for entry in found.of("unread") if entry["reason"] == "seccomp"]
        check(reasons, "nothing says that seccomp refused a view: "
              f"{[(e['what'], e['reason']) for e in found.of('unread')]}")


def seccomp_covered():
    """a filter refuses every view but /proc: a covered process is not called complete"""
    plant = Plant([b"covered"])
    mount("-t", "tmpfs", "none", f"/proc/{plant.pid}")
    found = records(under=[REFUSE], code=3)
    said = [entry for entry in found.of("unread") if entry["what"] == f"process {plant.pid}"]
    check(said or found.findings("proc_overmounted", plant.pid) or
          found.findings("hidden_process", plant.pid),
          f"nothing is said of process {plant.pid}")


def fuse(directory, *how):
    """A file system that does not bring what its server is asked for."""
    os.makedirs(directory, exist_ok=True)
    server = subprocess.Popen([sys.executable, f"{ROOT}/tests/triage/fuse.py", directory, *how],
                              stdout=subprocess.PIPE)
    check(server.stdout.readline() == b"ready\n", "no FUSE")
    return server


def blocked():
    """processes that nobody can look at, for a read of them never ends"""
    server = fuse(f"{SPACE}/fuse")
    before = Plant([b"before"])
    stuck = [Plant([b"stuck"], mode=f"blocked {SPACE}/fuse/{i}") for i in range(8)]
    after = [Plant([b"after", bytes([65 + i])]) for i in range(20)]
    time.sleep(1)
    reader = subprocess.Popen(["cat", f"/proc/{stuck[0].pid}/cmdline"],
                              stdout=subprocess.DEVNULL)
    try:
        check(reader.wait(1) is None, "the plant failed: its cmdline can be read")
    except subprocess.TimeoutExpired:
        reader.kill()
    found = triage(limit=60, code=3).records()
    for plant in stuck:
        process = found.process(plant.pid)
        check(not process["coherent"], "called coherent")
        same("comm", process["comm"], "plant")
        same("why there is no argv", found.unread(process, "cmdline"), "blocked")
    for plant in [before, *after]:
        process = found.process(plant.pid)
        same("argv", texts(process["argv"]), plant.argv)
        check(process["coherent"], "not coherent")
    check(found.end["blocked_reads"] >= len(stuck), "blocked reads are not counted")
    print(f"  {found.end['duration_ns'] / 1e9:.1f} s, "
          f"{found.end['blocked_reads']} reads left behind")
    server.kill()


def mute_mounts():
    """file systems whose servers never answer, where triage would look: they are not asked"""
    home = f"{SPACE}/home"
    write(f"{SPACE}/passwd", read("/etc/passwd") + b"planted:x:7:7::%s:/bin/sh\n" % home.encode())
    mount("--bind", f"{SPACE}/passwd", "/etc/passwd")
    where = [path for path in ("/etc/cron.d", "/etc/ssh", "/etc/udev/rules.d")
             if os.path.isdir(path)]
    check(where, "this machine has none of the places")
    servers = [fuse(path, "mute") for path in [home, *where]]
    found = triage("--no-hash", limit=60).records()
    said = {entry["what"]: entry["reason"] for entry in found.of("unread")}
    same("why they were not read", {path: said.get(path) for path in [home, where[0]]},
         {path: "would_change_host" for path in [home, where[0]]})
    check("blocked" not in said.values(), f"blocked: {said}")
    same("parts that were left", found.end["timed_out"], 0)
    check(found.of("unit"), "no unit was read")
    for server in servers:
        server.kill()


def left(found):
    return [entry["what"] for entry in found.of("unread") if entry.get("timed_out")]


def blocked_memory():
    """--memory of a process whose memory nobody can look at: the others are saved"""
    server = fuse(f"{SPACE}/fuse")
    stuck = Plant([b"stuck"], mode=f"blocked {SPACE}/fuse/1")
    plant = Plant([b"beside"])
    time.sleep(1)
    path, found, _ = evidence("--only", "processes", "--no-hash", "--memory", str(stuck.pid),
                              "--memory", str(plant.pid), code=3, limit=90)
    same("left behind", left(found), [f"memory of process {stuck.pid}"])
    same("parts that were left", found.end["timed_out"], 1)
    check(found.recovered(plant.pid, "memory")["complete"], "the other is not whole")
    same("what looks whole", [name for name in os.listdir(f"{path}/recovered")
                              if not name.endswith(".partial")],
         [f"{plant.pid}-memory.lime"])
    server.kill()


def blocked_part():
    """a network namespace behind a path that no server looks up any more"""
    server = fuse(f"{SPACE}/fuse", "forgetful")
    holder = os.fork()
    if holder == 0:
        libc.unshare(0x40000000)
        mount("--bind", "/proc/self/ns/net", f"{SPACE}/fuse/1")
        os._exit(0)
    os.waitpid(holder, 0)
    os.kill(server.pid, signal.SIGSTOP)
    plants = [Plant([b"plant", bytes([65 + i])]) for i in range(3)]
    found = triage("--only", "network,mounts,files", "--no-hash", limit=90, code=3).records()
    same("left behind", left(found), ["the rest of network"])
    same("parts that were left", found.end["timed_out"], 1)
    check(not found.end["complete"], "called complete")
    check(found.of("mount") and found.of("file") and found.of("namespace"),
          "something else is missing")
    for plant in plants:
        same("argv", texts(found.process(plant.pid)["argv"]), plant.argv)
    server.kill()


def many_memfds():
    """a process with thousands of memfds: many are saved, the rest is said, nobody suffers"""
    holder = os.fork()
    if holder == 0:
        resource.setrlimit(resource.RLIMIT_NOFILE, (8000, 8000))
        for i in range(6000):
            os.write(os.memfd_create(f"many-{i}"), b"memfd %d" % i)
        write(f"{SPACE}/made", b"")
        time.sleep(1000)
    for _ in range(600):
        if os.path.exists(f"{SPACE}/made"):
            break
        time.sleep(0.1)
    plants = [Plant([b"beside", bytes([65 + i])]) for i in range(20)]
    path, found, _ = evidence("--only", "processes", code=3)
    saved = found.of("recovered")
    check(len(saved) >= 500, f"{len(saved)} of 6000 saved")
    for record in saved:
        same("what", record["what"], "memfd")
        number = texts([record["path"]])[0].rsplit(b"-", 1)[1]
        same("the saved bytes", read(f"{path}/{record['stored']}"), b"memfd " + number)
    same("said of the rest", [(r["what"], r["reason"]) for r in found.of("unread")
                              if "without a name" in r["what"]],
         [("further files without a name", "too_large")])
    for plant in plants:
        process = found.process(plant.pid)
        same("argv", texts(process["argv"]), plant.argv)
        check("unread" not in process, "another process lacks something by it")
    _, found, _ = evidence("--only", "processes", "--recover-max", "1K", code=3)
    bytes_saved = sum(record["size"] for record in found.of("recovered") if record["complete"])
    check(900 < bytes_saved <= 1024, f"--recover-max 1K: {bytes_saved} bytes saved")
    same("said of what is too much", {record["error"] for record in found.of("recovered")
                                      if not record["complete"]},
         {"more than --recover-max allows in all"})
    os.kill(holder, 9)


CASES = {"nobody": nobody, "hidepid": hidepid, "hidepid_ptrace": hidepid_ptrace,
         "seccomp": seccomp, "seccomp_covered": seccomp_covered, "blocked": blocked,
         "many_memfds": many_memfds, "mute_mounts": mute_mounts,
         "blocked_memory": blocked_memory, "blocked_part": blocked_part}
