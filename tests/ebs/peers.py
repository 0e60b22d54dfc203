"""AWS's own client (botocore) against the fake: peers.py PORT CA IMAGE SNAPSHOT.

Reads the snapshot back block by block and compares it with the image; then publishes the
image itself, so that what the fake takes is what AWS's client sends. Prints the snapshot."""
import base64, hashlib, os, sys

import botocore.config
import botocore.session

port, ca, image, snapshot = sys.argv[1:5]
session = botocore.session.get_session()
session.set_credentials("AKIDEXAMPLE", "secretexample")


def client(service):
    return session.create_client(service, region_name="eu-test-1", verify=ca,
                                 endpoint_url="https://localhost:" + port,
                                 config=botocore.config.Config(retries={"max_attempts": 3}))


def blocks_of(ebs, snapshot_id):
    held, token = {}, {}
    while True:
        page = ebs.list_snapshot_blocks(SnapshotId=snapshot_id, MaxResults=100, **token)
        for block in page["Blocks"]:
            answer = ebs.get_snapshot_block(SnapshotId=snapshot_id,
                                            BlockIndex=block["BlockIndex"],
                                            BlockToken=block["BlockToken"])
            data = answer["BlockData"].read()
            assert base64.b64encode(hashlib.sha256(data).digest()).decode() == answer["Checksum"]
            held[block["BlockIndex"]] = data
        if "NextToken" not in page:
            return held
        token = {"NextToken": page["NextToken"]}


ebs, ec2 = client("ebs"), client("ec2")
held = blocks_of(ebs, snapshot)
expected = {}
with open(image, "rb") as f:
    for n in range((os.path.getsize(image) + 524287) // 524288):
        data = f.read(524288).ljust(524288, b"\0")
        if any(data):
            expected[n] = data
assert held == expected, "%d blocks, not %d" % (len(held), len(expected))
described = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
assert described["State"] == "completed" and described["VolumeSize"] == 1, described

started = ebs.start_snapshot(VolumeSize=1, ClientToken="botocore",
                             Tags=[{"Key": "Name", "Value": "peer"}])
digests = []
for n, data in sorted(expected.items()):
    digest = hashlib.sha256(data).digest()
    digests.append(digest)
    ebs.put_snapshot_block(SnapshotId=started["SnapshotId"], BlockIndex=n, BlockData=data,
                           DataLength=len(data), ChecksumAlgorithm="SHA256",
                           Checksum=base64.b64encode(digest).decode())
ebs.complete_snapshot(SnapshotId=started["SnapshotId"], ChangedBlocksCount=len(digests),
                      Checksum=base64.b64encode(hashlib.sha256(b"".join(digests)).digest()).decode(),
                      ChecksumAlgorithm="SHA256", ChecksumAggregationMethod="LINEAR")
for _ in range(10):
    state = ec2.describe_snapshots(SnapshotIds=[started["SnapshotId"]])["Snapshots"][0]["State"]
    if state == "completed":
        break
assert blocks_of(ebs, started["SnapshotId"]) == expected
print(started["SnapshotId"])
