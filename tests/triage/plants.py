"""Cases: what stands in one process's record, byte for byte, and what is told of it."""

import os

from records import check, same, text, texts
from space import (PLANT, SPACE, Plant, evidence, libc, mount, program, read, records,
                   sha256, triage, write)


def arguments():
    """argv and environ are what was planted, byte for byte"""
    big = [bytes([33 + i % 90]) * (131071 - i % 7) for i in range(14)] + [b"\x01" * 131000]
    for size in (100000, (2 << 20) - sum(len(word) + 1 for word in big) - 100001 - 1):
        big.append(b"\xff" * size)
    planted = [
        [b"plain", b"one", b"two words", b"--opt=\xc3\xa9"],
        [b"", b"", b"x", b"", b""],
        [b"\xff\xfe\x80", b"\xc0\xaf", b"ok", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"],
        [b"line\nbreak", b"tab\t", b"\x1b[31mred\x1b[0m", b"\x7f", b"</script><b>", b'"\\'],
        [bytes(range(1, 256))],
        [b" "], [b"(deleted)"], [b"a" * 131071],
        big,
    ]
    environ = [b"A=1", b"EMPTY=", b"=nameless", b"no equals sign", b"TWICE=1", b"TWICE=2",
               b"BYTES=\xff\x80\x01\n\t", b"", b"UTF8=\xe2\x82\xac"]
    plants = [Plant(argv, environ) for argv in planted]
    found = records()
    for argv, plant in zip(planted, plants):
        process = found.process(plant.pid)
        same("argv", texts(process["argv"]), argv)
        same("environ", texts(process["environ"]), environ)
        same("start_ticks", process["start_ticks"], plant.start_ticks)
        same("argv_bytes", process["argv_bytes"], sum(len(word) + 1 for word in argv))
        check("argv_unterminated" not in process, "argv_unterminated of one that ends")
        check("argv_truncated" not in process, "argv_truncated of one that is whole")
        check(process["coherent"], "not coherent")
        same("cwd", text(process["cwd"]), os.fsencode(os.getcwd()))
    check(sum(len(word) + 1 for word in big) == 2 << 20, "the large one is not 2 MiB")


def unterminated():
    """argv that no NUL ends, and argv that the process wrote itself"""
    # The kernel shows a page at most of what has no NUL at its end (fs/proc/base.c).
    planted = {
        "x" * 5000: [b"x" * 4096],
        "one|two|three|": [b"one", b"two", b"three"],
        "|": [b""],
        "a||": [b"a", b""],
        "a title as setproctitle(3) writes it": [b"a title as setproctitle(3) writes it"],
    }
    plants = {told: Plant(mode=f"unterminated {told}") for told in planted}
    found = records()
    for told, plant in plants.items():
        process = found.process(plant.pid)
        cmdline = read(f"/proc/{plant.pid}/cmdline")
        same("what was planted", cmdline.rstrip(b"x"), b"" if told[0] == "x" else cmdline)
        same("argv", texts(process["argv"]), planted[told])
        same("argv_bytes", process["argv_bytes"], len(cmdline))
        check(process.get("argv_unterminated", False) != cmdline.endswith(b"\0"),
              f"argv_unterminated is wrong for {told[:20]!r}")


def names():
    """comm with parentheses, newlines and bytes of no encoding"""
    planted = [b"a) R 1 (", b")\n) S 9 9", b"\xff\xfe", b"x\ny\nz", b")", b"(", b" ",
               b"\x1b[2J", b"Name:\tx\nUid:"]
    plants = [Plant([b"n"], mode="name " + name.hex()) for name in planted]
    executed = []
    for name in (b"x) S 1 1\n1", b"(sd-pam)"):
        path = os.fsencode(SPACE) + b"/" + name
        os.symlink(PLANT, path)
        executed.append(Plant([b"n"], path=path))
    found = records()
    for name, plant in zip(planted + [b"x) S 1 1\n1", b"(sd-pam)"], plants + executed):
        process = found.process(plant.pid)
        same("comm", text(process["comm"]), name[:15])
        same("start_ticks", process["start_ticks"], plant.start_ticks)
        same("ppid", process["ppid"], os.getpid())
        same("uid", process["uid"], [0, 0, 0, 0])
        check(not process["kernel_thread"], "a thread of the kernel")


def nameless():
    """programs and libraries without a name: memfd, deleted, replaced, sparse"""
    memfd = os.memfd_create("planted \xff) name".encode("latin-1"), 0)
    with open(memfd, "wb", closefd=False) as file:
        file.write(read(PLANT))
    from_memory = Plant([b"m"], fd=memfd)
    os.close(memfd)

    path = program("deleted")
    original = sha256(read(path))
    deleted = Plant([b"d"], path=path)
    os.unlink(path)

    path = program("replaced")
    with open(path, "ab") as file:
        file.write(b"another hash")
    replaced_hash = sha256(read(path))
    replaced = Plant([b"r"], path=path)
    program("new")
    os.rename(f"{SPACE}/new", path)

    path = program("first")
    os.link(path, f"{SPACE}/second")
    linked = Plant([b"l"], path=path)
    os.unlink(path)

    path = program("real (deleted)")
    real = Plant([b"f"], path=path)

    library = f"{SPACE}/libplanted.so"
    write(library, read("/lib/x86_64-linux-gnu/libm.so.6"))
    library_hash = sha256(read(library))
    loaded = Plant([b"so"], mode=f"map {library}")
    os.unlink(library)

    sparse = []
    for name, size in (("sparse", 8 << 20), ("very-sparse", 3 << 30)):
        path = program(name)
        os.truncate(path, size)
        with open(path, "r+b") as file:
            file.seek(size - 5000)
            file.write(b"planted at the end")
        sparse.append((Plant([b"s"], path=path), size, sha256(read(path))
                       if size < 1 << 30 else None))
        os.unlink(path)

    place, found, _ = evidence()
    check_saved(place, found, from_memory, "memfd", sha256(read(PLANT)))
    check_saved(place, found, deleted, "exe", original)
    check_saved(place, found, replaced, "exe", replaced_hash)
    check_saved(place, found, linked, "exe", original)
    check_saved(place, found, loaded, "library", library_hash)

    exe = found.process(from_memory.pid)["exe"]
    check(exe["memfd"] and exe["nlink"] == 0, f"not a memfd: {exe}")
    check(text(exe["path"]).startswith(b"/memfd:planted \xff) name"), exe["path"])
    found.finding("memfd_executable", from_memory.pid)
    for plant, name in ((deleted, "deleted"), (replaced, "replaced"), (linked, "first")):
        exe = found.process(plant.pid)["exe"]
        check(exe["deleted"], f"{name} is not called deleted")
        same("path", text(exe["path"]), f"{SPACE}/{name}".encode())
        found.finding("deleted_executable", plant.pid)
    same("hash of the program", found.process(replaced.pid)["exe"]["sha256"], replaced_hash)
    same("links", found.process(linked.pid)["exe"]["nlink"], 1)
    exe = found.process(real.pid)["exe"]
    same("path", text(exe["path"]), f"{SPACE}/real (deleted)".encode())
    check(not exe["deleted"], "a file that is called so is called deleted")
    check(not found.findings("deleted_executable", real.pid), "a finding for a file that is there")
    check(not [r for r in found.of("recovered") if r["pid"] == real.pid], "saved for nothing")
    found.finding("deleted_library", loaded.pid)
    check(not found.findings("deleted_library", real.pid), "a library that nobody deleted")
    check_sparse(place, found, sparse)


def check_saved(place, found, plant, what, digest):
    record = found.recovered(plant.pid, what)
    check(record["complete"], f"not complete: {record}")
    same("start_ticks", record["start_ticks"], plant.start_ticks)
    same(f"hash of {what}", record["sha256"], digest)
    same(f"hash of the saved {what}", sha256(read(f"{place}/{record['stored']}")), digest)


def check_sparse(place, found, sparse):
    for plant, size, digest in sparse:
        record = found.recovered(plant.pid, "exe")
        stored = read(f"{place}/{record['stored']}")
        same("size", record["size"], size)
        check(sum(length for _, length in record["data"]) < 1 << 20,
              f"holes are not seen: {record['data']}")
        if digest:
            check(not record["packed"] and len(stored) == size, "holes are lost")
            same("hash of the sparse program", sha256(stored), digest)
        else:
            check(record["packed"], "3 GiB of nothing were stored")
            same("why it was not hashed", found.unread(found.process(plant.pid), "sha256"),
                 "too_large")
            offset, length = record["data"][0]
            same("the first extent", stored[:length][:1000], read(PLANT)[offset:1000])
            last, length = record["data"][-1]
            at = len(stored) - length + (size - 5000 - last)
            same("the last extent", stored[at:at + 18], b"planted at the end")
        same("hash of what is stored", record["sha256"], sha256(stored))


def disguise():
    """fake kernel threads, a traced process, LD_PRELOAD, executable memory, /dev/shm"""
    mount("-t", "tmpfs", "tmpfs", "/dev/shm")
    bracketed = Plant([b"[kworker/0:1]"])
    named = Plant([b"[kworker/u8:2-events]"], mode="name " + b"kworker/0:1".hex())
    honest = Plant([b"worker"])
    tracer = Plant([b"tracer"], mode="trace")
    traced = int(tracer.said)
    preload = Plant([b"p"], [b"LD_PRELOAD=/mnt/evil\x1b.so"])
    almost = Plant([b"q"], [b"NOT_LD_PRELOAD=1", b"LD_PRELOAD="])
    anonymous = Plant([b"a"], mode="anonymous")
    shm = Plant([b"s"], path=program("from shm", "/dev/shm"))
    found = records()
    for plant in (bracketed, named):
        found.finding("fake_kernel_thread", plant.pid)
        check(not found.process(plant.pid)["kernel_thread"], "believed to be the kernel's")
    same("tracer_pid", found.process(traced)["tracer_pid"], tracer.pid)
    found.finding("traced_process", traced)
    found.finding("preload_environment", preload.pid)
    found.finding("anonymous_executable_memory", anonymous.pid)
    area = found.process(anonymous.pid)["maps"]["anonymous_exec"][0]
    same("executable memory", area["start"], anonymous.said.decode())
    same("its permissions", area["perms"], "rwxp")
    found.finding("executable_in_temporary_directory", shm.pid)
    same("path", text(found.process(shm.pid)["exe"]["path"]), b"/dev/shm/from shm")
    for plant in (honest, almost, shm):
        for kind in ("fake_kernel_thread", "traced_process", "preload_environment",
                     "anonymous_executable_memory", "memfd_executable", "deleted_library",
                     "hidden_process", "deleted_executable"):
            check(not found.findings(kind, plant.pid), f"{kind} for one that is not")


def descriptors():
    """descriptors with targets, flags and offsets; deleted and nameless files"""
    path = f"{SPACE}/open file (deleted)\n\xff".encode("latin-1")
    write(path, b"0123456789")
    write(f"{SPACE}/gone", b"gone")
    held = {}

    def hold():
        held["file"] = os.open(path, os.O_RDWR | os.O_APPEND)
        os.lseek(held["file"], 7, os.SEEK_SET)
        held["gone"] = os.open(f"{SPACE}/gone", os.O_RDONLY)
        os.unlink(f"{SPACE}/gone")
        for name, fd in (("file", 100), ("gone", 101)):
            os.dup2(held[name], fd)
        read_end, write_end = os.pipe()
        os.dup2(read_end, 102)
        os.dup2(write_end, 103)
        os.dup2(os.memfd_create("data"), 104)
        os.dup2(os.eventfd(0), 105)
        os.dup2(os.open("/", os.O_PATH), 106)

    plant = Plant([b"fds"], before=hold)
    socket = Plant([b"sockets"], before=lambda: os.dup2(libc.socket(1, 1, 0), 107))
    found = records()
    fds = {entry["fd"]: entry for entry in found.process(plant.pid)["fds"]}
    same("target", text(fds[100]["target"]), path)
    check(not fds[100].get("deleted"), "deleted although it is there")
    same("flags", int(fds[100]["flags"], 8) & 0o2003, os.O_RDWR | os.O_APPEND)
    same("offset", fds[100]["offset"], 7)
    check(fds[101].get("deleted"), "a deleted file is not")
    for fd, kind in ((100, "file"), (102, "pipe"), (103, "pipe"), (104, "memfd"),
                     (105, "anon"), (106, "directory")):
        same(f"kind of {fd}", fds[fd]["kind"], kind)
    mine = found.process(socket.pid)
    entry = [entry for entry in mine["fds"] if entry["fd"] == 107][0]
    same("kind", entry["kind"], "socket")
    same("socket", set(mine["sockets"]), {entry["inode"]})


def memory():
    """the memory of one process stands at its addresses, or why not"""
    half = "planted-" + os.urandom(8).hex()
    plant = Plant([b"memory"], mode=f"pattern {half}")
    place, found, _ = evidence("--memory", str(plant.pid))
    record = found.recovered(plant.pid, "memory")
    check(found.header["sensitive"], "not called sensitive")
    image = read(f"{place}/{record['stored']}")
    wanted = f"{half}-{half}\0".encode()
    same("in memory", from_lime(image, int(plant.said, 16), len(wanted)), wanted)
    region = [r for r in record["regions"]
              if int(r["start"], 16) <= int(plant.said, 16) < int(r["end"], 16)]
    check(len(region) == 1 and region[0]["bytes"] == 4096,
          f"only the page that is there is read: {region}")
    # Without the capability.
    from space import NOBODY
    writable = f"{SPACE}/for-nobody"
    os.mkdir(writable)
    os.chmod(writable, 0o777)
    triage("--memory", str(plant.pid), "--output", f"{writable}/out", under=NOBODY, code=3)
    from records import Records
    refused = Records(read(f"{writable}/out/triage.jsonl"))
    found = [r for r in refused.of("unread") if str(plant.pid) in str(r["what"])]
    check([r["reason"] for r in found] == ["capability"] and found[0]["errno"] == "EACCES",
          f"why not is not said: {found}")
    check(not refused.of("recovered"), "recovered without the right to")


def from_lime(image, address, size):
    at = 0
    while at < len(image):
        magic, _, start, end = [int.from_bytes(image[at + i:at + i + n], "little")
                                for i, n in ((0, 4), (4, 4), (8, 8), (16, 8))]
        check(magic == 0x4c694d45, f"no LiME header at {at}")
        at += 32
        if start <= address and address + size - 1 <= end:
            return image[at + address - start:at + address - start + size]
        at += end - start + 1
    return b""


def containers():
    """processes in cgroups as runtimes name them have their container, pod and task"""
    one = "3dd988081e7149463c043b5d9c57d7309e079c5e9290f91feba1cc45a04d6a5b"
    task = "e95a40efbde84cbc8600660a109ec194"
    pod = "2d3da189-6407-48e3-9ab6-78188d75e609"
    slices = f"kubepods.slice/kubepods-pod{pod.replace('-', '_')}.slice"
    planted = {
        f"system.slice/docker-{one}.scope": {"runtime": "docker", "id": one},
        f"{slices}/cri-containerd-{one}.scope":
            {"runtime": "containerd", "id": one, "pod": pod},
        f"{slices}/crio-{one}.scope/container": {"runtime": "cri-o", "id": one, "pod": pod},
        f"kubepods/besteffort/pod{pod}/{one}":
            {"runtime": "containerd", "id": one, "pod": pod},
        f"machine.slice/libpod-{one}.scope": {"runtime": "podman", "id": one},
        f"ecs/{task}/{one}": {"runtime": "ecs", "id": one, "task": task},
        f"ecstasks.slice/ecstasks-{task}.slice/docker-{one}.scope":
            {"runtime": "docker", "id": one, "task": task},
        f"ecs/{task}/{task}-3914536363":
            {"runtime": "fargate", "id": f"{task}-3914536363", "task": task},
        "lxc.payload.web1": {"runtime": "lxc", "id": "web1"},
        "machine.slice/systemd-nspawn@web.service":
            {"runtime": "systemd-nspawn", "id": "web"},
    }
    # The root of our own cgroup namespace: what is made there is taken away again.
    os.mkdir(f"{SPACE}/cgroup")
    mount("-t", "cgroup2", "none", f"{SPACE}/cgroup")
    top = f"{SPACE}/cgroup/triage-{os.urandom(4).hex()}"
    plants = {}
    try:
        for path in planted:
            os.makedirs(f"{top}/{path}")
            plants[path] = Plant([b"in", path.encode()])
            write(f"{top}/{path}/cgroup.procs", str(plants[path].pid).encode())
        outside = Plant([b"outside"])
        found = records("--only", "network")
    finally:
        for plant in plants.values():
            plant.end()
        for directory, _, _ in os.walk(top, topdown=False):
            os.rmdir(directory)
    for path, container in planted.items():
        same(path, found.process(plants[path].pid).get("container"),
             {**container, "source": "cgroup"})
        check(any(text(group["path"]).endswith(path.encode())
                  for group in found.process(plants[path].pid)["cgroups"]), "not its cgroup")
    check("container" not in found.process(outside.pid), "a container of one that is in none")


CASES = {"containers": containers, "arguments": arguments, "unterminated": unterminated, "names": names,
         "nameless": nameless, "disguise": disguise, "descriptors": descriptors,
         "memory": memory}
