#!/usr/bin/env python3
"""Holds a symbol file's types against those of another one of the same kernel:

    compare.py [--part NAME,...] [--only NAME,...] TYPES.json[.xz] BTF.json[.xz]

Each structure and union that both have by name must have the same size and the same
members: offset, size and, of bitfields, place. A structure without a name counts as
members of the one that it stands in. Those of --part may end earlier than the other
file's. Of a name that the other file has more than once (NAME___ID) one must agree. Those
that differ are listed and fail, and so are symbols. Shares no line with the programs. Exit: 0; 1 they differ.
"""
import json
import lzma
import sys


def load(path):
    with open(path, "rb") as file:
        data = file.read()
    return json.loads(data if data.startswith(b"{") else lzma.decompress(data))


def size_of(doc, type_):
    kind = type_["kind"]
    if kind == "pointer":
        return 8
    if kind == "array":
        return type_["count"] * size_of(doc, type_["subtype"])
    if kind == "bitfield":
        return None
    table = {"base": "base_types", "enum": "enums"}.get(kind, "user_types")
    return doc[table][type_["name"]]["size"]


def flat(doc, name, base=0):
    """Members by name: (offset, size, place of a bitfield)."""
    out = {}
    for key, field in doc["user_types"][name]["fields"].items():
        offset, type_ = base + field["offset"], field["type"]
        if field.get("anonymous"):
            out.update(flat(doc, type_["name"], offset))
            continue
        bits = None
        if type_["kind"] == "bitfield":
            # The same bits may be told from another byte.
            bits = (offset * 8 + type_["bit_position"], type_["bit_length"])
            offset = None
        out[key] = (offset, size_of(doc, type_), bits)
    return out


def same(types, name, btf, other, part):
    mine, theirs = flat(types, name), flat(btf, other)
    if part:
        ok = all(theirs.get(k) == v for k, v in mine.items())
        return ok and types["user_types"][name]["size"] <= btf["user_types"][other]["size"]
    return (mine == theirs and
            types["user_types"][name]["size"] == btf["user_types"][other]["size"])


def difference(types, btf, name):
    mine, theirs = flat(types, name), flat(btf, name)
    keys = [k for k in mine | theirs if mine.get(k) != theirs.get(k)]
    return ", ".join(f"{k} {mine.get(k)} and {theirs.get(k)}" for k in keys[:3])


def main():
    args, lists = sys.argv[1:], {"--part": set(), "--only": set()}
    while args[0] in lists:
        lists[args[0]] = set(args[1].split(","))
        args = args[2:]
    types, btf = map(load, args)
    others = {}
    for name in btf["user_types"]:
        others.setdefault(name.partition("___")[0], []).append(name)
    compared = members = failed = 0
    for name in sorted(lists["--only"] or types["user_types"]):
        if name.startswith("unnamed_") or "___" in name or name not in others:
            if name in lists["--only"]:
                print(f"{name}: one of the files has it not")
                failed = 1
            continue
        compared += 1
        members += len(flat(types, name))
        if not any(same(types, name, btf, o, name in lists["--part"])
                   for o in others[name]):
            print(f"{name}: {types['user_types'][name]['size']} and "
                  f"{[btf['user_types'][o]['size'] for o in others[name]]} bytes; "
                  f"{difference(types, btf, others[name][0]) if name in btf['user_types'] else ''}")
            failed = 1
    for name in types["symbols"].keys() | btf["symbols"].keys():
        pair = [d["symbols"].get(name, {}).get("address") for d in (types, btf)]
        if pair[0] != pair[1]:
            print(f"{name}: at {pair[0]} and {pair[1]}")
            failed = 1
    missing = [n for n in btf["user_types"] if "___" not in n and
               not n.startswith("unnamed_") and n not in types["user_types"]]
    print(f"{compared} structures with {members} members and "
          f"{len(btf['symbols'])} symbols compared; "
          f"{len(missing)} of the other file's are not there")
    sys.exit(failed)


main()
