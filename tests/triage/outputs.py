"""Cases: where the records go, what is left when that fails, and that nothing else changes."""

import glob
import os
import re
import signal
import subprocess
import time

from records import Records, check, same, texts
from space import (NOBODY, SPACE, Plant, call, command_of, evidence, mount, program, read,
                   records, triage, verify, write)

SECRETS = [b"hunter2-argument", b"hunter2-option", b"hunter2-url", b"hunter2-header",
           b"hunter2-environ", b"hunter2-next"]


def all_bytes(place):
    return b"".join(read(path) for path in glob.glob(f"{place}/**", recursive=True)
                    if os.path.isfile(path))


def redact():
    """--redact: no secret in any byte of any output; without it they are there"""
    plant = Plant([b"client", b"--password=" + SECRETS[0], b"--token", SECRETS[1],
                   b"https://user:" + SECRETS[2] + b"@host/path",
                   b"Authorization: Bearer " + SECRETS[3], b"--api-key", SECRETS[5], b"plain"],
                  [b"ORDINARY_NAME=" + SECRETS[4]])
    place, found, _ = evidence()
    for secret in SECRETS:
        check(secret in all_bytes(place), f"{secret} is not there without --redact")
    check(not found.header["redacted"] and found.header["sensitive"], "not called sensitive")
    place, found, _ = evidence("--redact")
    for secret in SECRETS:
        for path in glob.glob(f"{place}/**", recursive=True):
            check(not os.path.isfile(path) or secret not in read(path), f"{secret} in {path}")
    process = found.process(plant.pid)
    check(texts(process["argv"])[-1] == b"plain", "an ordinary argument is lost")
    same("environ", process["environ"],
         [{"name": "ORDINARY_NAME", "value_bytes": len(SECRETS[4])}])
    check(found.header["redacted"], "not called redacted")
    run = triage("--tar", "-", "--redact")
    for secret in SECRETS:
        check(secret not in call("zstd", "-dc", input=run.out), f"{secret} in the archive")


def archive():
    """the archive: zstd, tar and sha256sum read it, and our own hash the custody log"""
    gone = Plant([b"d"], path=program("gone"))
    os.unlink(f"{SPACE}/gone")
    path = f"{SPACE}/a.tar.zst"
    triage("--tar", path)
    streamed = f"{SPACE}/b.tar.zst"
    write(streamed, triage("--tar", "-").out)
    for archived in (path, streamed):
        call("zstd", "-qt", archived)
        names = call("tar", "--zstd", "-tf", archived).decode().split()
        check(any("recovered/" in name for name in names), f"nothing recovered in {names}")
        into = f"{archived}.d"
        os.mkdir(into)
        call("tar", "--zstd", "-xf", archived, "-C", into)
        sums = glob.glob(f"{into}/**/SHA256SUMS", recursive=True)
        check(len(sums) == 1, f"no SHA256SUMS in {names}")
        verify(os.path.dirname(sums[0]))
        found = Records(read(os.path.dirname(sums[0]) + "/triage.jsonl"))
        check(found.recovered(gone.pid, "exe")["complete"], "not recovered")


# System calls that change something, but for descriptors of our own.
CHANGING = ("execve,execveat,init_module,finit_module,delete_module,mount,umount2,move_mount,"
            "pivot_root,utimensat,utimes,futimesat,unlink,unlinkat,rmdir,mkdir,mkdirat,rename,"
            "renameat,renameat2,link,linkat,symlink,symlinkat,chmod,fchmod,fchmodat,chown,"
            "lchown,fchownat,truncate,setxattr,lsetxattr,fsetxattr,mknod,mknodat,swapon,"
            "sethostname,settimeofday,clock_settime,adjtimex,ptrace,process_vm_writev,kill,"
            "tgkill,open,openat,openat2,creat,bpf,ioctl,setns,unshare,fork,vfork,clone,clone3,"
            "perf_event_open,open_tree,socket,connect,bind,sysinfo,personality,quotactl")


def unchanged():
    """nothing of the host is changed: every system call that could is looked at"""
    plants = [Plant([b"p"], path=program("gone")), Plant([b"memory"], mode="pattern x")]
    os.unlink(f"{SPACE}/gone")
    place, trace = f"{SPACE}/evidence", f"{SPACE}/trace"
    subprocess.run(["strace", "-f", "-qq", "-y", "-o", trace, "-e", f"trace={CHANGING}",
                    *command_of("--output", place, "--memory", str(plants[1].pid))],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    verify(place)
    lines = joined(read(trace).decode(errors="replace").splitlines())
    check(len(lines) > 100, "strace saw nothing")
    bad, executed = [], 0
    for line in lines:
        match = re.match(r"\d+ +(\w+)\((.*)", line)
        if not match:
            continue
        name, rest = match[1], match[2]
        if name == "execve":
            executed += 1
        elif name in ("open", "openat", "openat2", "creat"):
            writes = re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND", rest)
            if writes and place not in rest:
                bad.append(line)
        elif name == "kill":
            if not re.match(r"\d+, 0\)", rest) and not re.match(r"\d+, 0 ", rest):
                bad.append(line)
        elif name in ("clone", "clone3"):
            # Threads of our own only.
            if "CLONE_THREAD" not in rest:
                bad.append(line)
        elif name in ("socket", "ioctl", "bpf", "setns", "sysinfo"):
            continue
        elif name in ("adjtimex",):
            if "modes=0" not in rest:
                bad.append(line)
        elif name == "unshare":
            # Of one thread, before it enters the network namespace of another process.
            if not re.match(r"CLONE_(FS|FILES)", rest):
                bad.append(line)
        elif place not in rest:
            bad.append(line)
    same("programs executed, itself included", executed, 1)
    check(not bad, "changed something:\n  " + "\n  ".join(bad[:10]))


def joined(lines):
    """Calls that strace wrote in two parts, because another thread came between."""
    whole, begun = [], {}
    for line in lines:
        pid, _, rest = line.partition(" ")
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest[:-len("<unfinished ...>")]
        elif "resumed>" in rest:
            whole.append(f"{pid} {begun.pop(pid)}{rest.split('resumed>', 1)[1]}")
        else:
            whole.append(line)
    return whole + [f"{pid} {rest}" for pid, rest in begun.items()]


def access_times():
    """access times of a file system that keeps them do not move"""
    image, point = f"{SPACE}/ext4", f"{SPACE}/disk"
    write(image, b"")
    os.truncate(image, 64 << 20)
    call("mkfs.ext4", "-q", image)
    os.mkdir(point)
    mount("-o", "loop,strictatime", image, point)
    path, library = program("executed", point), f"{point}/lib.so"
    write(library, read("/lib/x86_64-linux-gnu/libm.so.6"))
    write(f"{point}/gone", read(path), 0o755)
    plants = [Plant([b"e"], path=path), Plant([b"l"], mode=f"map {library}"),
              Plant([b"g"], path=f"{point}/gone")]
    held = os.open(f"{point}/gone", os.O_PATH)
    os.unlink(f"{point}/gone")
    paths = [path, library, point, f"/proc/self/fd/{held}"]
    for each in paths:
        os.utime(each, (1000, 2000))
    place, found, _ = evidence()
    check("sha256" in found.process(plants[0].pid)["exe"], "not hashed")
    check(found.recovered(plants[2].pid, "exe")["complete"], "not saved")
    for each in paths:
        same(f"access time of {each}", int(os.stat(each).st_atime), 1000)
    # Who may not ask for that reads nothing that would move it.
    run = triage(under=NOBODY)
    for each in paths:
        same(f"access time of {each}", int(os.stat(each).st_atime), 1000)
    check(run.code == 3, "nothing was left unread")
    for plant in plants:
        plant.end()
    os.close(held)
    call("umount", point)


def interrupted():
    """SIGTERM and SIGINT on the way: what is there is whole and says so"""
    Plant([b"standing"], mode="churn 4000 0")
    for number in (signal.SIGTERM, signal.SIGINT):
        place = f"{SPACE}/interrupted-{number}"
        process = subprocess.Popen(command_of("--output", place, "--no-hash"),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_for(lambda: glob.glob(f"{place}/triage.jsonl*"), process)
        process.send_signal(number)
        err = process.communicate(timeout=60)[1].decode()
        check(process.returncode in (3, 5), f"exit code {process.returncode}: {err}")
        verify_what_is(place)
        if os.path.exists(f"{place}/triage.jsonl"):
            found = Records(read(f"{place}/triage.jsonl"))
            check(found.end.get("interrupted") and not found.end["complete"],
                  "an interrupted run is called complete")
            check(len(found.processes) < 4000, "it was not interrupted")
        else:
            check(process.returncode == 5, "exit 3 without records")


def wait_for(there, process, limit=30):
    until = time.monotonic() + limit
    while not there():
        check(process.poll() is None, f"it ended: {process.returncode}")
        check(time.monotonic() < until, "it does not begin")
        time.sleep(0.002)


def verify_what_is(place):
    """What is listed is whole; what is not may not look as if it were."""
    # It may be that nothing became whole.
    if os.path.exists(f"{place}/SHA256SUMS") and os.path.getsize(f"{place}/SHA256SUMS"):
        call("sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS", cwd=place)
        listed = {line.split(maxsplit=1)[1].lstrip("*") for line in
                  read(f"{place}/SHA256SUMS").decode().splitlines()}
    else:
        listed = set()
    if os.path.exists(f"{place}/triage.jsonl"):
        check("triage.jsonl" in listed, "the records look whole and are not in SHA256SUMS")
    return listed


def killed():
    """kill -9 on the way leaves nothing that looks whole"""
    Plant([b"standing"], mode="churn 4000 0")
    for part in ("triage.jsonl", "timesketch.jsonl", "report.html"):
        place = f"{SPACE}/killed-{part}"
        process = subprocess.Popen(command_of("--output", place, "--no-hash"),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: any(os.path.getsize(path) for path in glob.glob(f"{place}/{part}*")),
                 process)
        process.kill()
        process.wait()
        left = os.listdir(place)
        check("SHA256SUMS" not in left, f"sums of what is not whole: {left}")
        whole = [name for name in left if not name.endswith(".partial")]
        check(not [name for name in whole if name.endswith((".jsonl", ".html", ".json"))
                   and name != "custody.jsonl"], f"looks whole: {whole}")


def full():
    """a full disk: exit 5, said so, and what is whole is"""
    Plant([b"standing"], mode="churn 300 0")
    for kib in (16, 64, 200, 700):
        point = f"{SPACE}/full-{kib}"
        os.mkdir(point)
        mount("-t", "tmpfs", "-o", f"size={kib}k", "none", point)
        run = triage("--output", f"{point}/evidence", code=5)
        check("No space left" in run.err or "too small" in run.err, f"not said why: {run.err}")
        if os.path.isdir(f"{point}/evidence"):
            verify_what_is(f"{point}/evidence")
        run = triage("--tar", f"{point}/archive.tar.zst", code=(0, 3, 5))
        if run.code == 5:
            check(not os.path.exists(f"{point}/archive.tar.zst"), "an archive that is not whole")


def read_only():
    """a root that nobody can write to, as in containers: standard output is enough"""
    plant = Plant([b"p"])
    call("mount", "-o", "remount,bind,ro", "/")
    call("mount", "-o", "remount,ro", SPACE)
    found = records(under=NOBODY, cwd="/")
    same("argv", texts(found.process(plant.pid)["argv"]), plant.argv)
    check(triage("--tar", "-", cwd="/").out.startswith(b"\x28\xb5\x2f\xfd"), "no archive")
    run = triage("--output", "/nowhere", code=(4, 5), cwd="/")
    check("Read-only file system" in run.err, f"not said why: {run.err}")


def closed():
    """a standard output that is closed, full, or read no further fails"""
    Plant([b"standing"], mode="churn 300 0")
    shell = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *command_of()], check=False,
                           stderr=subprocess.PIPE)
    check(shell.returncode == 5 and shell.stderr, f"closed: {shell.returncode}")
    with open("/dev/full", "wb") as device:
        done = subprocess.run(command_of(), stdout=device, stderr=subprocess.PIPE, check=False)
    check(done.returncode == 5 and done.stderr, f"/dev/full: {done.returncode}")
    process = subprocess.Popen(command_of(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.wait(60)
    check(process.returncode == 5 and err, f"a pipe that is read no further: "
          f"{process.returncode}, {err}")


CASES = {"redact": redact, "archive": archive, "unchanged": unchanged,
         "access_times": access_times, "interrupted": interrupted, "killed": killed,
         "full": full, "read_only": read_only, "closed": closed}
