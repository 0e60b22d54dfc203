#!/usr/bin/env python3
"""Has an SBOM what SPDX 2.3 makes mandatory, and does each name in it have its element?
spdx.py FILE: prints ok, or what is wrong; exit 0 or 1. The clauses are those of the
specification; the official JSON schema is not in any package that can be had here."""
import json
import re
import sys

faults = []


def need(where, thing, fields):
    for name, pattern in fields.items():
        value = thing.get(name)
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            faults.append(f"{where}: {name}: {value!r}")


IDSTRING = r"SPDXRef-[A-Za-z0-9.-]+"
LICENCE = r"NOASSERTION|NONE|[A-Za-z0-9.+-]+( (OR|AND|WITH) [A-Za-z0-9.+-]+)*"
TYPES = {"DESCRIBES", "CONTAINS", "STATIC_LINK", "GENERATED_FROM", "BUILD_DEPENDENCY_OF"}

doc = json.load(open(sys.argv[1], encoding="utf-8"))
need("document", doc, {  # 6.1 to 6.5
    "spdxVersion": "SPDX-2\\.3", "dataLicense": "CC0-1\\.0",
    "SPDXID": "SPDXRef-DOCUMENT", "name": ".+", "documentNamespace": "https://[^#]+"})
need("creationInfo", doc.get("creationInfo", {}),  # 6.8, 6.9
     {"created": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"})
creators = doc.get("creationInfo", {}).get("creators", [])
if not creators or not all(re.match("(Tool|Person|Organization): ", c) for c in creators):
    faults.append(f"creators: {creators}")
ids = [doc.get("SPDXID")]
for package in doc["packages"]:  # 7.1, 7.2, 7.7, 7.13, 7.15
    where = package.get("name", "?")
    ids.append(package["SPDXID"])
    need(where, package, {
        "SPDXID": IDSTRING, "name": ".+", "versionInfo": ".+",
        "downloadLocation": r"NOASSERTION|NONE|https://\S+",
        "licenseDeclared": LICENCE, "licenseConcluded": LICENCE, "copyrightText": ".+"})
    for ref in package.get("externalRefs", []):  # 7.21, purl-spec
        need(where, ref, {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                          "referenceLocator": r"pkg:[a-z]+/\S+@\S+"})
for entry in doc["files"]:  # 8.1, 8.2, 8.4
    ids.append(entry["SPDXID"])
    need(entry.get("fileName", "?"), entry, {"SPDXID": IDSTRING, "fileName": r"\./.+"})
    if "SHA1" not in [check["algorithm"] for check in entry.get("checksums", [])]:
        faults.append(f"{entry['fileName']}: no SHA1")
for thing in doc["packages"] + doc["files"]:
    for check in thing.get("checksums", []):
        digits = {"SHA256": 64, "SHA1": 40}.get(check.get("algorithm"), 0)
        need(thing["SPDXID"], check, {"checksumValue": "[0-9a-f]{%d}" % digits})
for name in sorted({i for i in ids if ids.count(i) > 1}):
    faults.append(f"{name} is there twice")
known = set(ids)
for relation in doc["relationships"]:  # 11.1
    for end in "spdxElementId", "relatedSpdxElement":
        if relation[end] not in known:
            faults.append(f"{relation[end]} is no element")
    if relation["relationshipType"] not in TYPES:
        faults.append(f"relationship {relation['relationshipType']}")
if not any(r["relationshipType"] == "DESCRIBES" and r["spdxElementId"] == "SPDXRef-DOCUMENT"
           for r in doc["relationships"]):
    faults.append("the document describes nothing")
print("\n".join(faults) or "ok")
sys.exit(bool(faults))
