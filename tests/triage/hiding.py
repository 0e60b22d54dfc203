"""Cases: processes that hide, pids that are used again, and very many of them."""

import os
import re

from records import check, same, text, texts
from space import (SPACE, Plant, everybody, mount, read, records, start_ticks, triage,
                   without)

MIB = 1 << 20


def no_false_alarm(found):
    check(not found.findings("hidden_process"),
          f"hidden processes that are none: {found.findings('hidden_process')[:3]}")
    check(not found.findings("pid_mismatch"), "pid_mismatch for nobody")
    for process in found.processes:
        unread = [entry for entry in process.get("unread", []) if entry["reason"] != "gone"]
        check(not unread, f"not read of {process['pid']}: {unread}")
    unread = [entry for entry in found.of("unread") if entry["what"].startswith("process")]
    check(not unread, f"not read: {unread}")


def cover(how):
    """Hides three processes; returns them and the one whose directory covers one."""
    os.mkdir(f"{SPACE}/empty")
    victims = [Plant([b"hidden", how.encode(), bytes([65 + i])]) for i in range(3)]
    other = Plant([b"in the open"])
    source = {"empty": f"{SPACE}/empty", "another": f"/proc/{other.pid}"}.get(how)
    for victim in victims:
        if source:
            mount("--bind", source, f"/proc/{victim.pid}")
        else:
            mount("-t", "tmpfs", "none", f"/proc/{victim.pid}")
    return victims, other


def look_hidden(how, able):
    victims, other = cover(how)
    beside = Plant([b"beside"])
    found = records(under=() if able else without("sys_admin"))
    same("argv of the one in the open", texts(found.process(other.pid)["argv"]), other.argv)
    for victim in victims:
        process = found.process(victim.pid)
        if able:
            same("argv", texts(process["argv"]), victim.argv)
            same("start_ticks", process["start_ticks"], victim.start_ticks)
            found.findings("proc_overmounted", victim.pid) or check(
                False, f"nothing says what is mounted over /proc/{victim.pid}")
        else:
            # Nothing else tells its arguments; those of another must not be taken for them.
            check("argv" not in process, f"argv of another: {process.get('argv')}")
            check(not process["coherent"], "a bare record is called coherent")
        kinds = [finding["kind"] for finding in found.of("finding")
                 if finding["subject"].get("pid") == victim.pid]
        check({"hidden_process", "pid_mismatch", "proc_overmounted"} & set(kinds),
              f"nothing is said of {victim.pid}: {kinds}")
        finding = found.findings("hidden_process", victim.pid)
        check(able or len(finding) == 1, "it is not called hidden")
        check(not finding or finding[0]["rechecked"] >= 3, "believed at once")
    for plant in (other, beside):
        for kind in ("hidden_process", "proc_overmounted", "pid_mismatch"):
            check(not found.findings(kind, plant.pid), f"{kind} for one in the open")
    check(len([p for p in found.processes if p["pid"] == other.pid]) == 1,
          "the one in the open has two records")


def covered_empty():
    """a process below a bind mount of an empty directory, with CAP_SYS_ADMIN"""
    look_hidden("empty", True)


def covered_empty_unable():
    """a process below a bind mount of an empty directory, without CAP_SYS_ADMIN"""
    look_hidden("empty", False)


def covered_another():
    """a process below another one's directory, with CAP_SYS_ADMIN"""
    look_hidden("another", True)


def covered_another_unable():
    """a process below another one's directory, without CAP_SYS_ADMIN"""
    look_hidden("another", False)


def covered_tmpfs():
    """a process below a tmpfs, with CAP_SYS_ADMIN"""
    look_hidden("tmpfs", True)


def covered_tmpfs_unable():
    """a process below a tmpfs, without CAP_SYS_ADMIN"""
    look_hidden("tmpfs", False)


def threads():
    """threads answer to signals, are in no listing, and are not called hidden"""
    plants = [Plant([b"threads"], mode="threads 40") for _ in range(5)]
    for under in ((), without("sys_admin"), without("sys_admin", "kill")):
        found = records(under=under)
        no_false_alarm(found)
        for plant in plants:
            same("threads", found.process(plant.pid)["threads"], 41)


def again():
    """a pid that is used again and again: no record mixes two processes"""
    directory, log = f"{SPACE}/generations", f"{SPACE}/log"
    os.mkdir(directory)
    pid = 20000
    # Between processes, so that it is neither the first nor the last that is read.
    plant = Plant([b"again"], mode=f"again {pid} {directory} {log}")
    seen, coherent = set(), 0
    for _ in range(40):
        found = records("--no-hash")
        no_false_alarm(found)
        ticks = dict(line.split() for line in read(log).decode().splitlines())
        for process in found.processes:
            if process["pid"] != pid:
                continue
            said = b" ".join([text(process["comm"])] + texts(process.get("argv", [])) +
                             texts(process.get("environ", [])))
            generations = set(re.findall(rb"g\d{7}", said))
            check(len(generations) <= 1, f"a record of several processes: {said}")
            for generation in generations:
                same(f"start_ticks of {generation}", process["start_ticks"],
                     int(ticks[generation.decode()]))
                seen.add(generation)
                coherent += process["coherent"]
    plant.end()
    print(f"  {len(ticks)} processes under one pid, {len(seen)} of them met, "
          f"{coherent} coherent")
    check(len(ticks) > 200, "the pid was hardly used again")
    check(len(seen) >= 5, "triage hardly met one")


def churn():
    """32,768 processes that come and go beside 2,000 that stay"""
    plant = Plant([b"churn"], mode="churn 2000 32768")
    runs, peak = 0, 0
    while True:
        found = records("--no-hash")
        no_false_alarm(found)
        standing = [p for p in found.processes if p.get("ppid") == plant.pid]
        check(len(standing) >= 2000, f"of 2,000 that stay {len(standing)} were seen")
        peak = max(peak, found.end["peak_bytes"])
        runs += 1
        os.set_blocking(plant.out.fileno(), False)
        line = plant.out.readline()
        if line:
            break
        check(runs < 60, "the plant does not end")
    check(line == b"ready forked 32768\n", f"the plant failed: {line}")
    print(f"  {runs} runs while they did, {peak >> 10} KiB at most")
    check(peak <= 32 * MIB, f"{peak} bytes of memory")


def standing():
    """10,000 processes: every one has its record, in 32 MiB"""
    plant = Plant([b"standing"], mode="churn 10000 0")
    found = triage("--no-hash")
    seconds, found = found.seconds, found.records()
    no_false_alarm(found)
    mine = [p for p in found.processes if p["ppid"] == plant.pid]
    same("records", len(mine), 10000)
    check(all(p["coherent"] for p in mine), "not all are coherent")
    check(all(texts(p["argv"]) == [b"standing"] for p in mine), "not all have their argv")
    same("all", {p["pid"] for p in found.processes} - {found.header["pid"]}, everybody())
    print(f"  {seconds:.2f} s, {found.end['peak_bytes'] >> 10} KiB")
    check(found.end["peak_bytes"] <= 32 * MIB, f"{found.end['peak_bytes']} bytes of memory")


CASES = {"covered_empty": covered_empty, "covered_empty_unable": covered_empty_unable,
         "covered_another": covered_another, "covered_another_unable": covered_another_unable,
         "covered_tmpfs": covered_tmpfs, "covered_tmpfs_unable": covered_tmpfs_unable,
         "threads": threads, "again": again, "churn": churn, "standing": standing}
