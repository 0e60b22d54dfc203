#!/usr/bin/env python3
"""An independent reader of symbol files: schema.py FILE.json[.xz]...

The rules are those of the published schema of ISF 6.2.0 (every object with the members it
must and may have), and beyond it: what a member of a structure is made of is defined, it
stands inside the structure, and types, enumerations and symbols have one entry each.
Shares no line with the program. Exit: 0 all good; 1 a rule is broken (said on stdout).
"""
import base64
import json
import lzma
import re
import sys

REQUIRED = """file list_head hlist_head mm_struct super_block task_struct vm_area_struct qstr
dentry fs_struct files_struct kobject cred inode idr address_space page vfsmount net socket
sock inet_sock unix_sock""".split()


class Broken(Exception):
    pass


def need(condition, where, what):
    if not condition:
        raise Broken(f"{where}: {what}")


def unique(pairs):
    """An object, in which no key may stand twice."""
    keys = [k for k, _ in pairs]
    if len(set(keys)) != len(keys):
        twice = {k for k in keys if keys.count(k) > 1}
        raise Broken(f"twice in one object: {sorted(twice)[:3]}")
    return dict(pairs)


def members(value, must, may, where):
    need(isinstance(value, dict), where, "not an object")
    need(set(must) <= set(value), where, f"lacks one of {must}")
    need(set(value) <= set(must) | set(may), where, f"has more than {must} {may}")


def natural(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def size_of(doc, type_, where, pointed=False):
    """Checks a type descriptor; its size in bytes, or None when it has none."""
    kind = type_.get("kind") if isinstance(type_, dict) else None
    if kind == "pointer":
        members(type_, ["kind", "subtype"], ["base"], where)
        size_of(doc, type_["subtype"], where, True)
        return doc["base_types"]["pointer"]["size"]
    if kind == "array":
        members(type_, ["kind", "subtype", "count"], [], where)
        need(natural(type_["count"]), where, "count")
        one = size_of(doc, type_["subtype"], where, pointed)
        return None if one is None else one * type_["count"]
    if kind == "bitfield":
        members(type_, ["kind", "type", "bit_position", "bit_length"], [], where)
        one = size_of(doc, type_["type"], where)
        bits = type_["bit_position"] + type_["bit_length"]
        need(type_["bit_length"] > 0 and bits <= one * 8, where, "bitfield does not fit")
        return (bits + 7) // 8
    if kind == "function":
        members(type_, ["kind"], [], where)
        need(pointed, where, "a function that is not behind a pointer")
        return None
    table = {"base": "base_types", "struct": "user_types", "union": "user_types",
             "enum": "enums"}.get(kind)
    need(table, where, f"kind {kind}")
    members(type_, ["kind", "name"], [], where)
    entry = doc[table].get(type_["name"])
    if entry is None:
        need(pointed and table == "user_types", where, f"no {kind} {type_['name']}")
        return None
    if table == "user_types":
        need(entry["kind"] == kind, where, f"{type_['name']} is no {kind}")
    return entry["size"]


def check(doc):
    members(doc, ["metadata", "base_types", "user_types", "enums", "symbols"], [], "file")
    members(doc["metadata"], ["format"], ["producer", "linux"], "metadata")
    need(re.fullmatch(r"6\.[0-9]+\.[0-9]+", doc["metadata"]["format"]), "metadata", "format")
    for name, base in doc["base_types"].items():
        members(base, ["size", "signed", "kind", "endian"], [], name)
        need(natural(base["size"]) and isinstance(base["signed"], bool), name, "size, signed")
        need(base["kind"] in ("void", "int", "float", "char", "bool"), name, "kind")
        need(base["endian"] in ("little", "big"), name, "endian")
    for name, enum in doc["enums"].items():
        members(enum, ["size", "base", "constants"], [], name)
        base = doc["base_types"][enum["base"]]
        need(base["size"] == enum["size"], name, f"base {enum['base']}")
        low, high = ((-1 << 8 * base["size"] - 1, 1 << 8 * base["size"] - 1)
                     if base["signed"] else (0, 1 << 8 * base["size"]))
        need(all(isinstance(v, int) and low <= v < high for v in enum["constants"].values()),
             name, "constants")
    for name, user in doc["user_types"].items():
        members(user, ["kind", "size", "fields"], [], name)
        need(user["kind"] in ("struct", "union"), name, "kind")
        for key, field in user["fields"].items():
            where = f"{name}.{key}"
            members(field, ["type", "offset"], ["anonymous"], where)
            size = size_of(doc, field["type"], where)
            need(size is not None, where, "has no size")
            need(natural(field["offset"]) and field["offset"] + size <= user["size"], where,
                 "outside of its structure")
            need(field.get("anonymous", True) is True, where, "anonymous")
            need(key.startswith("unnamed_field_") == ("anonymous" in field), where, "name")
    for name, symbol in doc["symbols"].items():
        members(symbol, ["address"], ["type", "constant_data", "linkage_name"], name)
        need(natural(symbol["address"]) and symbol["address"] < 1 << 64, name, "address")
        if "type" in symbol:
            size_of(doc, symbol["type"], name)
    banner = base64.b64decode(doc["symbols"]["linux_banner"]["constant_data"], validate=True)
    need(re.fullmatch(rb"Linux version [ -~]+ #\d+ [ -~]+\n", banner), "linux_banner", banner)
    for name in REQUIRED:
        need(name in doc["user_types"], name, "missing")


def main():
    failed = 0
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            data = file.read()
        try:
            if not data.startswith(b"{"):
                data = lzma.decompress(data)
            doc = json.loads(data, object_pairs_hook=unique)
            check(doc)
            print(f"{path}: {len(doc['user_types'])} structures, "
                  f"{len(doc['symbols'])} symbols")
        except (Broken, ValueError, KeyError, lzma.LZMAError) as why:
            print(f"{path}: {why}")
            failed = 1
    sys.exit(failed)


main()
