"""Holds sockets of every kind open in the network namespace that it is started in.

netsockets.py NAME: prints what it opened, one a line (inode, pid, descriptor, what), then
"ready", and waits for the end of its input. Loopback must be up. With LEAVE=FILE it goes
into the namespace of that file for it and comes back.
"""
import ctypes
import os
import socket
import struct
import sys

name = sys.argv[1]
held = []
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def enter(fd):
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


home = os.open("/proc/self/ns/net", os.O_RDONLY)
if "LEAVE" in os.environ:
    away = os.open(os.environ["LEAVE"], os.O_RDONLY)
    print("netns", os.getpid(), away, flush=True)
    enter(away)
    # Then its mount alone leads to the namespace, and no descriptor.
    if "CLOSE" in os.environ:
        os.close(away)


def hold(sock, text):
    held.append(sock)
    inode = os.fstat(sock.fileno()).st_ino
    print(inode, os.getpid(), sock.fileno(), text, flush=True)


def inet(family, loopback, suffix):
    server = socket.socket(family, socket.SOCK_STREAM)
    server.bind((loopback, 0))
    server.listen(5)
    port = server.getsockname()[1]
    hold(server, f"tcp{suffix} LISTEN {loopback} {port}")
    client = socket.socket(family, socket.SOCK_STREAM)
    client.connect((loopback, port))
    hold(client, f"tcp{suffix} ESTABLISHED {loopback} {client.getsockname()[1]}")
    accepted, _ = server.accept()
    hold(accepted, f"tcp{suffix} ESTABLISHED {loopback} {port}")
    bound = socket.socket(family, socket.SOCK_DGRAM)
    bound.bind((loopback, 0))
    hold(bound, f"udp{suffix} - {loopback} {bound.getsockname()[1]}")
    other = socket.socket(family, socket.SOCK_DGRAM)
    other.connect((loopback, bound.getsockname()[1]))
    hold(other, f"udp{suffix} - {loopback} {other.getsockname()[1]}")
    proto = socket.IPPROTO_ICMPV6 if suffix else socket.IPPROTO_ICMP
    raw = socket.socket(family, socket.SOCK_RAW, proto)
    hold(raw, f"raw{suffix} - {'::' if suffix else '0.0.0.0'} {proto}")


inet(socket.AF_INET, "127.0.0.1", "")
inet(socket.AF_INET6, "::1", "6")

path = f"{os.environ['DIR']}/{name} \udcff\x1b[31m"
sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
sock.bind(path)
sock.listen(1)
hold(sock, "unix LISTEN path")
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.bind(b"\0abs\0" + name.encode())
hold(sock, "unix UNCONNECTED abstract")
one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
hold(one, "unix ESTABLISHED pair")
hold(two, "unix ESTABLISHED pair")
# Two lines of /proc/net/unix, the second made up.
forged = "\n0000000000000000: 00000002 00000000 00010000 0001 01 4242424242 /run/fake"
sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
os.chdir(os.environ["DIR"])
os.makedirs(os.path.dirname(name + forged), exist_ok=True)
sock.bind(name + forged)
hold(sock, "unix UNCONNECTED forged")
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x800))
hold(sock, "packet - 800")
if "PROMISCUOUS" in os.environ:
    # PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC of linux/if_packet.h
    sock.setsockopt(263, 1, struct.pack("iHH8s", 1, 1, 0, b""))
sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)
sock.bind((0, 1))
hold(sock, "netlink - kobject_uevent")
# A socket that is in no table of descriptors: sent to another, and not received yet.
one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
hold(one, "unix ESTABLISHED pair")
hold(two, "unix ESTABLISHED pair")
sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
sock.bind(("127.0.0.1", 0))
sock.listen(1)
print(os.fstat(sock.fileno()).st_ino, 0, 0, "tcp LISTEN sent", flush=True)
socket.send_fds(one, [b"x"], [sock.fileno()])
sock.close()
enter(home)
print("ready", flush=True)
sys.stdin.read()
