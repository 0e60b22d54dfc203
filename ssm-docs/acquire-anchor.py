# Writes what proves the evidence later where nobody can change it: one object under Object
# Lock in the security account's bucket. A bucket without Object Lock refuses these headers,
# so that success is proof. The key holds the snapshot's id; versioning keeps a first object
# that a second one would hide.
import datetime
import json

import boto3


def anchor(events, context):
    now = datetime.datetime.now(datetime.timezone.utc)
    until = now + datetime.timedelta(days=int(events['RetentionDays']))
    key = 'anchors/%s/%s.json' % (events['Account'], events['SnapshotId'])
    names = ('Case', 'Account', 'Region', 'InstanceId', 'Execution', 'VolumeId',
             'SnapshotId', 'ReleaseSnapshotId', 'Verdict', 'Reason', 'Image',
             'ImageSha256', 'CustodyHead', 'Triage')
    body = {name: events[name] for name in names}
    body['Commands'] = json.loads(events['Record'])
    body['Time'] = now.strftime('%Y-%m-%dT%H:%M:%SZ')
    body['Format'] = 1
    answer = boto3.client('s3').put_object(
        Bucket=events['Bucket'], Key=key, ContentType='application/json',
        Body=(json.dumps(body, sort_keys=True, indent=1) + '\n').encode(),
        ChecksumAlgorithm='SHA256', ExpectedBucketOwner=events['Owner'],
        ObjectLockMode=events['LockMode'], ObjectLockRetainUntilDate=until)
    return {'Key': key, 'ObjectVersion': answer.get('VersionId', 'none')}
