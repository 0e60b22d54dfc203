# Reads the anchor that FVol-Acquire wrote before it shared the snapshot. A snapshot without
# one is somebody else's, and nothing is done. The anchor comes from another account, so
# only what has the form of an id or a hash is taken over.
import json
import re

import boto3

FORMS = {
    'Case': '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}\\Z',
    'InstanceId': '^i-[0-9a-f]{8,17}\\Z',
    'Execution': '^[0-9a-f-]{36}\\Z',
    'Verdict': '^(COMPLETE|PARTIAL|FAILED)\\Z',
    'ImageSha256': '^([0-9a-f]{64}|none)\\Z',
    'CustodyHead': '^([0-9a-f]{64}|none)\\Z',
}


def name(events, context):
    return {'SnapshotId': events['Snapshot'].rpartition('/')[2]}


def look(events, context):
    snapshot, owner = events['SnapshotId'], events['OwnerId']
    key = 'anchors/%s/%s.json' % (owner, snapshot)
    body = boto3.client('s3').get_object(
        Bucket=events['Bucket'], Key=key, ExpectedBucketOwner=events['Account'])['Body']
    anchor = json.loads(body.read(1 << 20))
    if anchor.get('SnapshotId') != snapshot or anchor.get('Account') != owner:
        raise ValueError('the anchor is one of another snapshot')
    found = {}
    for field, form in FORMS.items():
        value = anchor.get(field)
        if not isinstance(value, str) or not re.match(form, value):
            raise ValueError('the anchor has no proper ' + field)
        found[field] = value
    copies = boto3.client('ec2').describe_snapshots(
        OwnerIds=[events['Account']],
        Filters=[{'Name': 'tag:fvol:source', 'Values': [snapshot]}])['Snapshots']
    # An event may come twice.
    found['Known'] = 'yes' if any(one['State'] != 'error' for one in copies) else 'no'
    found['Anchor'] = key
    return found
