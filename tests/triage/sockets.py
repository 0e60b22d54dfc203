"""Cases: sockets that a table leaves out, and those that are in none for good reasons.

Netlink is kept from triage as on a host where the modules that answer are not loaded:
nothing says that they are there.
"""

import os
import re
import socket
import struct
import time
import traceback

from records import check, same
from space import SPACE, call, libc, mount, read, records, write

CLONE_NEWNET = 0x40000000
LINGER_NOW = struct.pack("ii", 1, 0)


def blind():
    """Nothing tells triage any more what the kernel has built in or loaded."""
    os.makedirs(f"{SPACE}/empty", exist_ok=True)
    write(f"{SPACE}/nothing", b"")
    call("sh", "-c", f"printf '# CONFIG_UNIX_DIAG is not set\\n' | gzip > {SPACE}/config.gz")
    if os.path.exists("/proc/config.gz"):
        mount("--bind", f"{SPACE}/config.gz", "/proc/config.gz")
    for table in ("modules", "kallsyms"):
        if os.path.exists(f"/proc/{table}"):
            mount("--bind", f"{SPACE}/nothing", f"/proc/{table}")
    for directory in ("/boot", "/lib/modules"):
        if os.path.isdir(directory):
            mount("--bind", f"{SPACE}/empty", directory)


class Holder:
    """A process in a network namespace of its own that runs `hold`, which returns lines."""

    def __init__(self, hold):
        said, says = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(said)
                if libc.unshare(CLONE_NEWNET) != 0:
                    raise OSError("unshare")
                call("ip", "link", "set", "lo", "up")
                self.kept = hold()
                lines = [f"{name} {os.fstat(one.fileno()).st_ino} {one.fileno()}\n"
                         for name, one in self.kept]
                os.write(says, "".join(lines).encode() + b"ready\n")
                while True:
                    time.sleep(1000)
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(5)
        os.close(says)
        with os.fdopen(said, "rb") as out:
            lines = []
            for line in out:
                if line == b"ready\n":
                    break
                lines.append(line.decode().split())
            else:
                check(False, "a holder of sockets did not begin")
        self.inodes = {name: int(inode) for name, inode, _ in lines}
        self.fds = {name: int(fd) for name, _, fd in lines}
        self.netns = int(re.search(r"\d+", os.readlink(f"/proc/{self.pid}/ns/net"))[0])

    def end(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


def listener(family, address):
    one = socket.socket(family, socket.SOCK_STREAM)
    one.bind((address, 0))
    one.listen(5)
    return one


def datagram(family, address):
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.bind((address, 0))
    return one


def bound():
    """One of each table, and of those that can be in none, one that is not."""
    path = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path.bind(b"\0planted")
    ping = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    ping6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5))
    return [("tcp", listener(socket.AF_INET, "127.0.0.1")),
            ("tcp6", listener(socket.AF_INET6, "::1")),
            ("udp", datagram(socket.AF_INET, "127.0.0.1")),
            ("udp6", datagram(socket.AF_INET6, "::1")),
            ("raw", ping), ("raw6", ping6), ("unix", path), ("packet", packet),
            ("unbound-udp", socket.socket(socket.AF_INET, socket.SOCK_DGRAM))]


TABLES = ["tcp", "tcp6", "udp", "udp6", "raw", "raw6", "unix", "packet"]


def leave_out(holder, inodes):
    """Hides sockets ({table: inode}) of the holder's namespace from its tables.

    Nothing stays mounted on a single table (what is looked up there is always made anew),
    so all of them are mounted elsewhere first, and that on the directory.
    """
    real, fake = f"/proc/{holder.pid}/net", f"{SPACE}/net"
    os.mkdir(fake)
    for name in [*TABLES, "icmp", "icmp6", "netlink", "protocols", "dev", "route"]:
        write(f"{fake}/{name}", b"")
        if name not in inodes:
            mount("--bind", f"{real}/{name}", f"{fake}/{name}")
            continue
        lines = read(f"{real}/{name}").splitlines(keepends=True)
        kept = [line for line in lines if str(inodes[name]).encode() not in line.split()]
        same("lines left out", len(lines) - len(kept), 1)
        write(f"{fake}/{name}", b"".join(kept))
    mount("--rbind", fake, real)


def told(found, netns):
    """What was said of sockets of a namespace, by protocol: findings and leads."""
    said = {}
    for kind in ("finding", "lead"):
        for record in found.of(kind):
            if record["kind"] == "hidden_socket":
                same("netns", record["subject"]["netns"], netns)
                table = re.search(r"/proc/net/(\w+)", record["text"])[1]
                check(table not in said, f"{table} twice")
                said[table] = record
    return said


def left_out():
    """a socket that its table leaves out, and that netlink may not be asked for"""
    blind()
    holder = Holder(bound)
    found = records("--only", "network", "--no-hash")
    check(all(r["views"] == ["proc"] for r in found.of("socket")), "netlink was asked")
    same("said before anything is hidden", told(found, holder.netns), {})
    leave_out(holder, {table: holder.inodes[table] for table in TABLES})
    found = records("--only", "network", "--no-hash")
    said = told(found, holder.netns)
    same("tables that leave one out", sorted(said), sorted(TABLES))
    for table in TABLES:
        record = said[table]
        descriptors = {f"{holder.pid}/fd/{holder.fds[table]}"}
        if table == "udp":
            descriptors.add(f"{holder.pid}/fd/{holder.fds['unbound-udp']}")
        else:
            same("inode", record["subject"].get("inode"), holder.inodes[table])
        # What a unix socket sent may be counted longer than the socket is there.
        same("type", record["type"], "lead" if table == "unix" else "finding")
        same("severity", record.get("severity"), None if table == "unix" else "high")
        same("descriptors", set(record["evidence"]["descriptors"]), descriptors)
        same("shown", record["evidence"]["proc"], record["evidence"]["counted"] - 1)
        same("rechecked", record["rechecked"], 8)
        check(f"(pid {holder.pid})" in record["text"], record["text"])
    holder.end()


def left_out_unheld():
    """a socket that is left out and whose holder's descriptors nobody may read: a lead"""
    blind()
    holder = Holder(bound)
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    # The tables of a namespace that nobody lives in but one who holds nothing.
    with open(f"/proc/{holder.pid}/ns/net", "rb") as netns:
        other = os.fork()
        if other == 0:
            libc.setns(netns.fileno(), CLONE_NEWNET)
            one = listener(socket.AF_INET, "127.0.0.1")
            socket.send_fds(sender, [b"x"], [one.fileno()])
            os.write(1, b"")
            os._exit(0)
        os.waitpid(other, 0)
    inodes = [int(line.split()[9]) for line in
              read(f"/proc/{holder.pid}/net/tcp").splitlines()[1:]]
    inode, = (one for one in inodes if one not in holder.inodes.values())
    leave_out(holder, {"tcp": inode})
    said = told(records("--only", "network", "--no-hash"), holder.netns)
    same("tables that leave one out", list(said), ["tcp"])
    same("type", said["tcp"]["type"], "lead")
    check("severity" not in said["tcp"] and "inode" not in said["tcp"]["subject"], said)
    receiver.close()
    holder.end()


def innocent():
    """Sockets that stand in no table, or are counted longer than they are shown."""
    kept = []

    def keep(name, make):
        try:
            kept.append((name, make()))
        except OSError as why:
            print(f"  no {name} here: {why}")

    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            keep(f"unbound-{family}-{kind}", lambda f=family, k=kind: socket.socket(f, k))
    keep("alg", lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET))
    keep("vsock", lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
    keep("bluetooth", lambda: socket.socket(31, socket.SOCK_RAW, 1))
    keep("mptcp", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262))
    keep("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
    write("/proc/sys/net/ipv4/ping_group_range", b"0 0\n", None)
    keep("ping", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM,
                                       socket.IPPROTO_ICMP))
    server = listener(socket.AF_INET, "127.0.0.1")
    server6 = listener(socket.AF_INET6, "::")
    kept.extend([("server", server), ("server6", server6)])
    # Ended by the other side, and still held; of both kinds of end.
    for name, to, end in (("reset", server, True), ("shut", server, False),
                          ("mapped", server6, True)):
        client = socket.create_connection(("127.0.0.1", to.getsockname()[1]))
        there, _ = to.accept()
        if end:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOW)
        client.close()
        kept.append((name, there))
    # Connected, and not accepted: of nobody yet, then of nobody any more.
    kept.append(("waiting", socket.create_connection(server.getsockname())))
    socket.create_connection(server.getsockname()).close()
    # A v6 socket that was turned into one of v4 (IPV6_ADDRFORM).
    turned = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    turned.connect(("::ffff:127.0.0.1", server.getsockname()[1]))
    turned.setsockopt(socket.IPPROTO_IPV6, 1, socket.AF_INET)
    kept.append(("turned", turned))
    # What it sent is still to be read: it is counted, and stands nowhere.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.send(b"x")
    ours.close()
    kept.append(("theirs", theirs))
    # In a namespace that nobody lives in, and that nothing else holds.
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    libc.unshare(CLONE_NEWNET)
    call("ip", "link", "set", "lo", "up")
    kept.append(("elsewhere", listener(socket.AF_INET, "127.0.0.1")))
    kept.append(("elsewhere-udp", datagram(socket.AF_INET, "127.0.0.1")))
    kept.append(("elsewhere-unix", socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)))
    libc.setns(home, CLONE_NEWNET)
    os.close(home)
    return kept


def in_no_table():
    """sockets that are in no table for good reasons are not called hidden"""
    blind()
    holder = Holder(innocent)
    for _ in range(10):
        found = records("--only", "network", "--no-hash")
        said = told(found, holder.netns)
        # One of unix is elsewhere, and another that was closed is still counted: a lead.
        same("said", {table: record["type"] for table, record in said.items()},
             {"unix": "lead"})
        same("inode", said["unix"]["subject"]["inode"], holder.inodes["elsewhere-unix"])
    holder.end()


def churn():
    """Connections that come and go as fast as they can."""
    kept = bound()
    server = kept[0][1]
    server.listen(4096)
    for _ in range(2):
        if os.fork() == 0:
            while True:
                server.accept()[0].close()
    for kind in range(3):
        if os.fork() == 0:
            count = 0
            while True:
                if kind < 2:
                    client = socket.create_connection(server.getsockname())
                    # Without those that wait for a minute the ports would be used up.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOW)
                    client.close()
                else:
                    one = datagram(socket.AF_INET, "127.0.0.1")
                    two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
                    two[0].send(b"x")
                    one.close()
                count += 1
                if count % 500 == 0:
                    write(f"{SPACE}/count-{kind}", str(count).encode())
    return kept


def busy():
    """a namespace with very many short connections: fifty looks, and nothing is hidden"""
    blind()
    holder = Holder(churn)
    sockets = 0
    for _ in range(50):
        found = records("--only", "network", "--no-hash", limit=120)
        same("said", told(found, holder.netns), {})
        sockets += len(found.of("socket"))
    counts = [int(read(f"{SPACE}/count-{kind}")) for kind in range(3)]
    print(f"  {counts} connections and sockets meanwhile, {sockets} records")
    check(all(count > 1000 for count in counts), f"not busy: {counts}")
    holder.end()


CASES = {"left_out": left_out, "left_out_unheld": left_out_unheld,
         "in_no_table": in_no_table, "busy": busy}
