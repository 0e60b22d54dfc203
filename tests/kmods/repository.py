#!/usr/bin/env python3
"""Reads a module repository as margaritashotgun does, written from its format alone:

repository.py URL|DIR RELEASE FILE   fetches the module of a release into FILE
repository.py serve DIR              serves DIR on 127.0.0.1 and prints the port

Its reader turns XML into dictionaries: an element that stands once is a value, and only
one that stands several times is a list. What it then iterates must be a list.
"""
import gzip
import hashlib
import http.server
import os
import sys
import urllib.request
import xml.etree.ElementTree as ElementTree


def to_dict(element):
    """One element as a dictionary, or as its text when it has nothing else."""
    out = {"@" + key: value for key, value in element.attrib.items()}
    for child in element:
        value = to_dict(child)
        if child.tag not in out:
            out[child.tag] = value
        elif isinstance(out[child.tag], list):
            out[child.tag].append(value)
        else:
            out[child.tag] = [out[child.tag], value]
    return out if out else element.text


def read(place, name):
    """The bytes of a file of the repository."""
    if "://" in place:
        with urllib.request.urlopen(place + "/" + name) as answer:
            return answer.read()
    with open(os.path.join(place, name), "rb") as file:
        return file.read()


def must_be(data, digest, name):
    """Ends the program when data are not what the digest says."""
    if hashlib.sha256(data).hexdigest() != digest:
        sys.exit(name + ": another checksum")


def fetch(place, release, path):
    """Finds the release's module and writes it to path."""
    metadata = to_dict(ElementTree.fromstring(read(place, "repodata/repomd.xml")))
    lists = metadata["data"]
    for entry in lists if isinstance(lists, list) else [lists]:
        if entry["@type"] == "primary":
            break
    int(metadata["revision"]), int(entry["timestamp"])
    name = entry["location"]["@href"]
    packed = read(place, name)
    must_be(packed, entry["checksum"], name)
    text = gzip.decompress(packed)
    must_be(text, entry["open_checksum"], name)
    if (len(packed), len(text)) != (int(entry["size"]), int(entry["open_size"])):
        sys.exit(name + ": another size")
    manifest = {}
    for module in to_dict(ElementTree.fromstring(text))["module"]:
        # Each of them is asked for, whether it is used or not.
        manifest[module["version"]] = {
            "type": module["@type"],
            "name": module["name"],
            "arch": module["arch"],
            "checksum": module["checksum"],
            "packager": module["packager"],
            "location": module["location"]["@href"],
            "signature": module["signature"]["@href"],
            "platform": module["platform"],
        }
    module = manifest[release]
    data = read(place, module["location"])
    must_be(data, module["checksum"], module["location"])
    with open(path, "wb") as file:
        file.write(data)
    print(len(manifest), module["arch"])


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_):
        pass


def serve(directory):
    """Serves until it is ended."""
    os.chdir(directory)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if sys.argv[1] == "serve":
    serve(sys.argv[2])
else:
    fetch(*sys.argv[1:4])
