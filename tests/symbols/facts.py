#!/usr/bin/env python3
"""Holds a symbol file against what a guest's kernel says: facts.py FILE FACTS SHIFT.

FACTS is /proc/fvol_facts of tests/vm/facts; SHIFT (hex) what KASLR added in that guest.
Prints a line "ok NAME" or "FAIL NAME: what" for each structure. Exit: 0 all ok; 1 not.
"""
import json
import lzma
import sys

SIZES = {"pointer": 8}


def size_of(doc, type_):
    kind = type_["kind"]
    if kind == "pointer":
        return 8
    if kind == "array":
        return type_["count"] * size_of(doc, type_["subtype"])
    table = {"base": "base_types", "enum": "enums"}.get(kind, "user_types")
    return doc[table][type_["name"]]["size"]


def find(doc, name, member):
    """A member, also of anonymous structures inside, as (byte offset, type)."""
    fields = doc["user_types"][name]["fields"]
    if member in fields:
        return fields[member]["offset"], fields[member]["type"]
    for field in fields.values():
        if field.get("anonymous"):
            try:
                off, type_ = find(doc, field["type"]["name"], member)
                return field["offset"] + off, type_
            except KeyError:
                pass
    raise KeyError(f"{name} has no {member}")


def is_true(doc, shift, fact):
    kind, name, *rest = fact
    if kind == "size":
        return doc["user_types"][name]["size"] == int(rest[0])
    if kind == "value":
        return doc["enums"][name]["constants"][rest[0]] == int(rest[1])
    if kind == "address":
        return doc["symbols"][name]["address"] + shift == int(rest[0], 16)
    off, type_ = find(doc, name, rest[0])
    if kind == "member":
        return (off, size_of(doc, type_)) == (int(rest[1]), int(rest[2]))
    return (off * 8 + type_["bit_position"], type_["bit_length"]) == (int(rest[1]), int(rest[2]))


def main():
    path, facts, shift = sys.argv[1:]
    with lzma.open(path) as file:
        doc = json.load(file)
    with open(facts) as file:
        facts = [line.split() for line in file]
    wrong, names = {}, {}
    for fact in facts:
        name = fact[1]
        names[name] = names.get(name, 0) + 1
        try:
            if not is_true(doc, int(shift, 16), fact):
                wrong.setdefault(name, []).append(" ".join(fact))
        except KeyError as why:
            wrong.setdefault(name, []).append(f"{' '.join(fact)}: {why}")
    for name, count in names.items():
        if name in wrong:
            print(f"FAIL {name}: {'; '.join(wrong[name])}")
        else:
            print(f"ok {name} ({count} facts)")
    sys.exit(1 if wrong or not names else 0)


main()
