"""What tests ask of the fakes of AWS while they run: small files in the fake's directory,
and the fault that the next requests are to have."""
import os, re, threading


class Asked:
    def __init__(self, directory):
        self.directory = directory
        self.lock = threading.Lock()
        self.matched = 0

    def read(self, name):
        """The text of one of the files; "" when it is not there."""
        try:
            with open(os.path.join(self.directory, name)) as f:
                return f.read().strip()
        except FileNotFoundError:
            return ""

    def fault_for(self, line):
        """The fault that this request is to have, "" for none. The file `fault` says
        "KIND COUNT [METHOD [PATTERN]]": so many requests that match have it, counted down;
        "KIND every N ...": each Nth."""
        with self.lock:
            words = self.read("fault").split(None, 3)
            every = words[1:2] == ["every"]
            if every:
                words = words[:1] + words[2:3] + "".join(words[3:]).split(None, 1)
            if len(words) < 2 or int(words[1]) <= 0:
                return ""
            if len(words) > 2 and not line.startswith(words[2] + " "):
                return ""
            if len(words) > 3 and not re.search(words[3], line):
                return ""
            if every:
                self.matched += 1
                return words[0] if self.matched % int(words[1]) == 0 else ""
            words[1] = str(int(words[1]) - 1)
            new = os.path.join(self.directory, "fault.new")
            with open(new, "w") as f:
                f.write(" ".join(words))
            os.rename(new, os.path.join(self.directory, "fault"))
            return words[0]
