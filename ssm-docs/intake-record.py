# Writes down, under Object Lock, which copy stands for which snapshot, and until when it is
# locked: read back from EC2, not from what was asked.
import datetime
import json

import boto3


def record(events, context):
    locked = boto3.client('ec2').describe_locked_snapshots(
        SnapshotIds=[events['CopyId']])['Snapshots']
    if len(locked) != 1 or locked[0]['LockState'] not in (
            'governance', 'compliance', 'compliance-cooloff'):
        raise ValueError('the copy is not locked')
    now = datetime.datetime.now(datetime.timezone.utc)
    body = {name: events[name] for name in (
        'SnapshotId', 'OwnerId', 'CopyId', 'Anchor', 'ImageSha256', 'CustodyHead')}
    body.update(Format=1, Time=now.strftime('%Y-%m-%dT%H:%M:%SZ'),
                LockState=locked[0]['LockState'])
    key = 'intake/%s/%s.json' % (events['OwnerId'], events['SnapshotId'])
    boto3.client('s3').put_object(
        Bucket=events['Bucket'], Key=key, ContentType='application/json',
        Body=(json.dumps(body, sort_keys=True, indent=1) + '\n').encode(),
        ChecksumAlgorithm='SHA256', ExpectedBucketOwner=events['Account'],
        ObjectLockMode=events['LockMode'].upper(),
        ObjectLockRetainUntilDate=now + datetime.timedelta(
            days=int(events['RetentionDays'])))
    return {'Key': key, 'LockState': locked[0]['LockState'],
            'LockDays': int(events['RetentionDays'])}


def days(events, context):
    return {'Days': int(events['RetentionDays'])}
