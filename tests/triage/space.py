"""What the cases have in common: plants in the namespaces of this case, and runs of triage.

The runner (run.sh) has made fresh namespaces of every kind but user and time, and
everything that is begun here ends with them. Nothing here may be run elsewhere.
"""

import ctypes
import hashlib
import os
import resource
import signal
import subprocess
import time

from records import Records, Wrong, check

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ARCH = os.environ.get("TRIAGE_ARCH", "x86_64")
TRIAGE = os.environ.get("TRIAGE_BIN") or f"{ROOT}/build/release/{ARCH}/bin/triage"
PLANT = f"{ROOT}/build/tests/triage/plant"
REFUSE = f"{ROOT}/build/tests/triage/refuse"
HASH = f"{ROOT}/build/release/x86_64/bin/hash"
SPACE = "/mnt"
LIMIT_S = 60

libc = ctypes.CDLL(None, use_errno=True)


def call(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, **more)
    check(done.returncode == 0, f"{command}: {done.returncode}: {done.stdout.decode()}")
    return done.stdout


def mount(*arguments):
    call("mount", *arguments)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data, mode=0o644):
    with open(path, "wb") as file:
        file.write(data)
    if mode is not None:
        os.chmod(path, mode)


def start_ticks(pid):
    return int(read(f"/proc/{pid}/stat").rsplit(b")", 1)[1].split()[19])


class Plant:
    """A process: the program at `path` with these bytes as arguments and environment."""

    def __init__(self, argv=(b"plant",), environ=(), mode=None, path=None, fd=None, before=None,
                 file=None):
        variables = list(environ)
        if mode:
            variables.append(b"PLANT=" + mode.encode())
        path = os.fsencode(path or PLANT)
        self.argv, self.environ = list(argv), variables
        began, exec_done = os.pipe()
        said, says = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(began)
                resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, resource.RLIM_INFINITY))
                os.dup2(says, 1)
                if before:
                    before()
                words = (ctypes.c_char_p * (len(self.argv) + 1))(*self.argv, None)
                names = (ctypes.c_char_p * (len(variables) + 1))(*variables, None)
                if fd is not None:
                    libc.fexecve(fd, words, names)
                else:
                    libc.execve(file or path, words, names)
                os.write(exec_done, os.strerror(ctypes.get_errno()).encode())
            finally:
                os._exit(5)
        os.close(exec_done)
        os.close(says)
        why = os.read(began, 1000)
        os.close(began)
        check(not why, f"a plant did not begin: {why.decode()}")
        self.out = os.fdopen(said, "rb")
        self.said = self.hear() if mode else b""
        self.start_ticks = start_ticks(self.pid)

    def hear(self):
        line = self.out.readline()
        check(line.startswith(b"ready"), f"a plant did not get ready: {line!r}")
        return line[6:].strip()

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.out.close()


def program(name, directory=SPACE):
    """A copy of the plant's program under a name."""
    path = f"{directory}/{name}"
    write(path, read(PLANT), 0o755)
    return path


class Run:
    """What a run of triage left: code, out, err, seconds."""

    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def records(self, whole=True):
        return Records(self.out, whole)


def command_of(*arguments, under=()):
    emulator = ["qemu-aarch64-static"] if ARCH == "aarch64" else []
    return [*under, *emulator, TRIAGE, *arguments]


def triage(*arguments, under=(), code=(0, 3), limit=LIMIT_S, **more):
    """Runs it and checks its exit code."""
    began = time.monotonic()
    try:
        done = subprocess.run(command_of(*arguments, under=under), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=limit,
                              check=False, **more)
    except subprocess.TimeoutExpired:
        raise Wrong(f"triage did not end in {limit} s") from None
    run = Run(done.returncode, done.stdout, done.stderr.decode(errors="replace"),
              time.monotonic() - began)
    codes = code if isinstance(code, tuple) else (code,)
    check(run.code in codes, f"exit code {run.code}, not {codes}: {run.err[-500:]}")
    return run


def records(*arguments, **more):
    return triage(*arguments, **more).records()


def evidence(*arguments, **more):
    """Into a directory: its path, the records, the run."""
    path = f"{SPACE}/evidence-{time.monotonic_ns()}"
    run = triage("--output", path, *arguments, **more)
    verify(path)
    run.out = read(f"{path}/triage.jsonl")
    return path, run.records(), run


def verify(path):
    """The sums, by coreutils, and the custody log, by our own hash."""
    call("sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS", cwd=path)
    call(HASH, "--custody", "verify", f"{path}/custody.jsonl")


def without(*capabilities):
    """The command that runs as root without some capabilities; all: none is left."""
    dropped = ",".join(f"-{name}" for name in capabilities)
    return ["setpriv", "--bounding-set", dropped, "--inh-caps=-all"]


NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
          "--bounding-set=-all", "--inh-caps=-all"]


def everybody():
    """The pids that stand in this namespace now."""
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}
