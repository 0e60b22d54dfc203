"""Chromium without a window, spoken to through two pipes (--remote-debugging-pipe), so
that nothing but the Debian package and Python is needed."""
import json
import os
import shutil
import subprocess
import tempfile


class Browser:
    """One page of a browser of its own."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="fvol-report-")
        to_read, self.write_fd = os.pipe()
        self.read_fd, to_write = os.pipe()
        # The browser wants its ends as 3 and 4: what they are now may be those.
        first, second = os.dup2(to_read, 63), os.dup2(to_write, 64)

        def ends():
            os.dup2(first, 3)
            os.dup2(second, 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe",
             f"--user-data-dir={self.profile}", "about:blank"],
            close_fds=False, preexec_fn=ends,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in (to_read, to_write, first, second):
            os.close(fd)
        self.pending = b""
        self.number = 0
        self.events = []
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target,
                                 flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def message(self):
        """The next message of the browser's."""
        while b"\0" not in self.pending:
            data = os.read(self.read_fd, 1 << 20)
            if not data:
                raise EOFError("the browser ended")
            self.pending += data
        text, self.pending = self.pending.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        """Calls a method and returns its result; events in between are kept."""
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self.write_fd, data):]
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def open(self, url):
        """Goes there and waits until it is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.message())

    def run(self, script):
        """The value of an expression in the page, promises awaited."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"])[:2000])
        return result["result"].get("value")

    def named(self, method):
        """The events of that name, since open()."""
        return [e["params"] for e in self.events if e.get("method") == method]

    def close(self):
        """Ends the browser and takes its traces away."""
        self.session = None
        try:
            self.call("Browser.close")
        except (EOFError, OSError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.read_fd)
        os.close(self.write_fd)
        shutil.rmtree(self.profile, ignore_errors=True)
