"""Runs a command whose standard error is a terminal, and prints what that shows on its own.

terminal.py COMMAND [ARGUMENT...]; exit: the command's.
"""
import os, pty, subprocess, sys

master, slave = pty.openpty()
child = subprocess.Popen(sys.argv[1:], stderr=slave)
os.close(slave)
while True:
    try:
        shown = os.read(master, 4096)
    except OSError:  # that side is closed
        break
    if not shown:
        break
    sys.stderr.buffer.write(shown)
sys.exit(child.wait())
