"""The figures of triage.sh, in the namespaces that it made."""

import ctypes
import glob
import os
import re
import socket
import statistics
import subprocess
import sys
import time

from records import Records, text, texts
from space import (SPACE, Plant, call, command_of, mount, program, read, sha256, write)

short = 0


def line(name, ours, peer="-", goal=None, judge=None):
    global short
    ratio = f"{ours / peer:.4g}" if isinstance(peer, (int, float)) and peer else "-"
    good = "reported" if goal is None else "ok" if (judge or ours <= goal) else "short"
    short |= good == "short"
    show = (f"{value:.4g}" if isinstance(value, float) else str(value)
            for value in (ours, peer, ratio, "-" if goal is None else goal))
    print("{} ours={} peer={} ratio={} goal={} {}".format(name, *show, good), flush=True)


def run(command, **more):
    began, used = time.monotonic(), os.times()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False, **more)
    now = os.times()
    cpu = now.children_user + now.children_system - used.children_user - used.children_system
    return done.stdout, (time.monotonic() - began) * 1000, cpu * 1000


def times(command, count=5):
    """Median wall and processor milliseconds, and the last output."""
    walls, cpus = [], []
    for _ in range(count):
        out, wall, cpu = run(command)
        walls.append(wall)
        cpus.append(cpu)
    print(f"# {command[-2:]} wall ms {[round(w) for w in walls]}, processor ms "
          f"{[round(c) for c in cpus]}")
    return statistics.median(walls), statistics.median(cpus), out


def strace_counts(command):
    """Programs executed (the first not counted), and files opened for writing."""
    trace = f"{SPACE}/strace"
    run(["strace", "-f", "-qq", "-y", "-o", trace, "-e",
         "trace=execve,execveat,open,openat,openat2,creat", *command])
    lines = read(trace).decode(errors="replace").splitlines()
    executed = [match[1] for entry in lines
                for match in [re.search(r'execve(?:at)?\("([^"]*)".* = 0', entry)] if match][1:]
    written = [entry for entry in lines
               if re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", entry)
               and not re.search(r"= -1|</dev/(null|tty)>|evidence", entry)]
    return len(executed), len(set(executed)), len(written)


def uac(into):
    """Runs UAC's process and network artefacts; wall milliseconds, or None."""
    where = os.environ.get("TRIAGE_UAC")
    if not where:
        return None
    os.makedirs(into, exist_ok=True)
    command = ["./uac", "-a", "live_response/process/*,live_response/network/*", "-f", "none",
               "-o", "out", into]
    _, wall, _ = run(command, cwd=where)
    return wall if glob.glob(f"{into}/**/live_response", recursive=True) else None


def varc(into):
    """Runs varc without memory: False when it is not given or ended badly."""
    where = os.environ.get("TRIAGE_VARC")
    if not where:
        return False
    os.makedirs(into, exist_ok=True)
    path = where + ":" + os.environ.get("TRIAGE_PACKAGES", "")
    done = subprocess.run(["/usr/bin/python3", f"{where}/varc.py", "--skip-memory"], cwd=into,
                          env={**os.environ, "PYTHONPATH": path}, check=False,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    archives = glob.glob(f"{into}/*.zip")
    if done.returncode or not archives:
        return False
    call("python3", "-m", "zipfile", "-e", archives[0], f"{into}/out")
    for number, inner in enumerate(glob.glob(f"{into}/out/**/*.tar*", recursive=True)):
        os.mkdir(f"{into}/{number}")
        call("tar", "-xf", inner, "-C", f"{into}/{number}")
    return True


# What the peers collect: processes and the network.
SAME = ("--no-hash", "--only", "network")


def hundred():
    plant = Plant([b"standing"], mode="churn 100 0")
    wall, cpu, _ = times(command_of(*SAME))
    peer = uac(f"{SPACE}/uac-100")
    line("wall_ms@100/uac", wall, peer if peer else "not_measured", 50)
    line("processor_ms@100", cpu)
    wall, cpu, _ = times(command_of("--no-hash"))
    line("all_parts_wall_ms@100", wall)
    line("all_parts_processor_ms@100", cpu)
    executed, binaries, written = strace_counts(command_of("--no-hash"))
    line("programs_executed", executed, "-", 0)
    line("host_binaries", binaries, "-", 0)
    line("host_files_opened_for_writing", written, "-", 0)
    plant.end()


def thousands():
    plant = Plant([b"standing"], mode="churn 10000 0")
    wall, cpu, out = times(command_of(*SAME), 3)
    count = sum(p["ppid"] == plant.pid for p in Records(out).processes)
    line("processes_recorded@10000", count, "-", 10000, count == 10000)
    line("wall_s@10000", wall / 1000, "-", 3)
    line("processor_s@10000", cpu / 1000)
    wall, _, out = times(command_of("--no-hash"), 3)
    line("all_parts_wall_s@10000", wall / 1000)
    line("peak_mib@10000", Records(out).end["peak_bytes"] / (1 << 20), "-", 32)
    plant.end()


class Planted:
    """What is planted, and by which bytes a tool shows that it saw it."""

    def __init__(self):
        self.words = [b"planted-first", b"", b"planted third", b"planted\xff\xfefourth"]
        self.argv = Plant(self.words, [b"PLANTED=in\nenviron", b"PLANTED=twice"])
        self.long = Plant([b"long"] + [b"x" * 131000] * 15 + [b"planted-at-the-end"])
        self.comm = Plant([b"c"], mode="name " + b"p) R 9\nx".hex())
        memfd = os.memfd_create("planted-memfd")
        os.write(memfd, read(program("seed")) + b"memfd")
        self.memfd_hash = sha256(read("seed") + b"memfd")
        self.memfd = Plant([b"m"], fd=memfd)
        os.close(memfd)
        write(f"{SPACE}/planted-gone", read("seed") + b"gone", 0o755)
        self.gone_hash = sha256(read("seed") + b"gone")
        self.gone = Plant([b"g"], path=f"{SPACE}/planted-gone")
        os.unlink(f"{SPACE}/planted-gone")
        library = f"{SPACE}/libplanted.so"
        write(library, read("/lib/x86_64-linux-gnu/libm.so.6"))
        self.library = Plant([b"l"], mode=f"map {library}")
        os.unlink(library)
        self.fake = Plant([b"[kworker/9:1]"])
        self.hidden = Plant([b"planted-hidden"])
        os.mkdir(f"{SPACE}/empty")
        mount("--bind", f"{SPACE}/empty", f"/proc/{self.hidden.pid}")
        self.listeners = [Plant([b"net"], before=lambda port=port: listen(port))
                          for port in (40123, 40124, 40125)]

    def ours(self, place, found):
        files = {sha256(read(path)) for path in glob.glob(f"{place}/recovered/*")}
        process = found.process
        ports = {(record["netns"], record["local"]["port"]) for record in found.of("socket")
                 if record["protocol"] == "tcp"}
        return {
            "argv_exact": texts(process(self.argv.pid)["argv"]) == self.words,
            "environ_exact": texts(process(self.argv.pid)["environ"]) == self.argv.environ,
            "argv_2mib": text(process(self.long.pid)["argv"][-1]) == b"planted-at-the-end",
            "comm_exact": text(process(self.comm.pid)["comm"]) == b"p) R 9\nx",
            "memfd_seen": bool(found.findings("memfd_executable", self.memfd.pid)),
            "memfd_saved": self.memfd_hash in files,
            "deleted_seen": bool(found.findings("deleted_executable", self.gone.pid)),
            "deleted_saved": self.gone_hash in files,
            "library_seen": bool(found.findings("deleted_library", self.library.pid)),
            "fake_kthread_said": bool(found.findings("fake_kernel_thread", self.fake.pid)),
            "hidden_argv": texts(process(self.hidden.pid)["argv"]) == [b"planted-hidden"],
            "hidden_said": bool(found.findings("hidden_process", self.hidden.pid) or
                                found.findings("proc_overmounted", self.hidden.pid)),
            "sockets_3_netns": {port for _, port in ports} >= {40123, 40124, 40125} and
            len({net for net, port in ports if 40122 < port < 40126}) == 3,
        }

    def theirs(self, data, files):
        """By bytes alone, which favours them: nothing need be said, only be there."""
        exact = b"\0".join(self.words)
        hidden = re.search(rb"hidden[^\n]{0,80}\b%d\b" % self.hidden.pid, data)
        return {
            "argv_exact": exact in data,
            "environ_exact": b"\0".join(self.argv.environ) in data or
            b"PLANTED=in\\nenviron" in data,
            "argv_2mib": b"planted-at-the-end" in data,
            "comm_exact": b"p) R 9\nx" in data or b"p) R 9\\nx" in data,
            "memfd_seen": b"memfd:planted-memfd" in data,
            "memfd_saved": self.memfd_hash in files,
            "deleted_seen": b"planted-gone (deleted)" in data,
            "deleted_saved": self.gone_hash in files,
            "library_seen": b"libplanted.so (deleted)" in data,
            "fake_kthread_said": False,
            "hidden_argv": b"planted-hidden" in data,
            "hidden_said": bool(hidden),
            "sockets_3_netns": all(port in data for port in (b"40123", b"40124", b"40125")) or
            all(b"%04X" % port in data for port in (40123, 40124, 40125)),
        }


def listen(port):
    if port != 40123:
        ctypes.CDLL(None).unshare(0x40000000)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    sock = socket.socket()
    sock.bind(("127.0.0.1", port))
    sock.listen()
    os.set_inheritable(sock.fileno(), True)
    sock.detach()


def everything(directory):
    data, files = [], set()
    for path in glob.glob(f"{directory}/**", recursive=True):
        if os.path.isfile(path) and not os.path.islink(path):
            data.append(read(path))
            files.add(sha256(data[-1]))
    return b"\n".join(data), files


def found_table():
    planted = Planted()
    place = f"{SPACE}/evidence"
    run(command_of("--output", place))
    tools = {"ours": planted.ours(place, Records(read(f"{place}/triage.jsonl")))}
    ps = b"\n".join(run(command)[0] for command in (
        ["ps", "axeww", "-o", "pid,ppid,comm,args"], ["ps", "auxeww"], ["ss", "-anp"]))
    tools["ps+ss"] = planted.theirs(ps, set())
    if uac(f"{SPACE}/uac"):
        tools["uac"] = planted.theirs(*everything(f"{SPACE}/uac"))
    if varc(f"{SPACE}/varc"):
        tools["varc"] = planted.theirs(*everything(f"{SPACE}/varc"))
    elif os.environ.get("TRIAGE_VARC"):
        print("# varc ended with an error where a process is covered; once more without that")
        call("umount", f"/proc/{planted.hidden.pid}")
        if varc(f"{SPACE}/varc-again"):
            tools["varc"] = {**planted.theirs(*everything(f"{SPACE}/varc-again")),
                             "hidden_argv": False, "hidden_said": False}
    print("| planted | " + " | ".join(tools) + " |")
    print("|---" * (len(tools) + 1) + "|")
    for name in tools["ours"]:
        print(f"| {name} | " +
              " | ".join("yes" if tool[name] else "no" for tool in tools.values()) + " |")
    for name, tool in tools.items():
        if name != "ours":
            line(f"planted_found/{name}", sum(tools["ours"].values()), sum(tool.values()),
                 len(tools["ours"]), all(tools["ours"].values()))
    for name in ("uac", "varc"):
        if name not in tools:
            print(f"# {name}: not measured")


def main():
    if os.environ.get("TRIAGE_SPACE") != "1" or os.getppid() != 1:
        sys.exit("triage.py: only in the namespaces of triage.sh")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", SPACE)
    os.chdir(SPACE)
    hundred()
    thousands()
    found_table()
    return int(short)


if __name__ == "__main__":
    sys.exit(main())
