"""holds.py STATE SNAPSHOT IMAGE: does the fake's snapshot hold what the image does?"""
import hashlib, json, os, sys

state, snapshot_id, image = sys.argv[1:4]
snapshot = next(s for s in json.load(open(state))["snapshots"] if s["id"] == snapshot_id)
zero = hashlib.sha256(bytes(524288)).hexdigest()
expected = {}
with open(image, "rb") as f:
    for n in range((os.path.getsize(image) + 524287) // 524288):
        data = f.read(524288).ljust(524288, b"\0")
        if data.count(0) != len(data):
            expected[str(n)] = hashlib.sha256(data).hexdigest()
held = {n: d for n, d in snapshot["blocks"].items() if d != zero}
if snapshot["state"] != "completed" or held != expected:
    sys.exit("%s is %s and holds %d blocks, not the %d of the image" % (
        snapshot_id, snapshot["state"], len(held), len(expected)))
