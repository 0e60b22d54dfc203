"""Runs FVol-Intake after FVol-Acquire, in the security account: intake.py DOCUMENTS."""
import json
import sys

from acquire import DOCUMENTS, KEY, run
from automation import Execution
from cloud import SEALED, SHA

BOOK = json.load(open(DOCUMENTS + '/FVol-Intake.json'))
failed = False


def tell(name, right, detail):
    global failed
    print('%s intake: %s' % ('ok' if right else 'FAIL', name))
    if not right:
        failed = True
        print('     | %s' % detail)


def take(cloud, snapshot, **more):
    member, cloud.account = cloud.account, cloud.security
    try:
        return Execution(BOOK, cloud, dict({
            'Snapshot': 'arn:aws:ec2::eu-west-1:snapshot/' + snapshot, 'KmsKeyId': KEY,
            'EvidenceBucket': cloud.bucket,
            'AutomationAssumeRole': 'arn:aws:iam::999988887777:role/fvol-intake'},
            **more)).run()
    finally:
        cloud.account = member


def acquired():
    cloud, execution = run({}, {})
    return cloud, execution.outputs['report.SnapshotId']


def copies(cloud):
    return [one for one in cloud.snapshots.values()
            if one['OwnerId'] == cloud.security and one['SnapshotId'] != 'snap-0feed0000']


def change(cloud, **fields):
    (key, (body, mode)), = cloud.objects.items()
    cloud.objects[key] = (json.dumps(dict(json.loads(body), **fields)).encode(), mode)


cloud, snapshot = acquired()
execution = take(cloud, snapshot, LockMode='compliance')
copy, = copies(cloud)
tags = {tag['Key']: tag['Value'] for tag in copy['Tags']}
tell('a shared snapshot is copied, tagged, locked and recorded',
     execution.status == 'Success' and copy['lock'] == ('compliance', 365) and
     tags['fvol:memory-sha256'] == SHA and tags['fvol:custody-head'] == SEALED and
     tags['fvol:source'] == snapshot and copy['State'] == 'completed' and
     'intake/%s/%s.json' % (cloud.account, snapshot) in cloud.objects,
     (execution.status, execution.steps, copy))
execution = take(cloud, snapshot)
tell('told twice it is copied once', execution.status == 'Success' and
     len(copies(cloud)) == 1, execution.steps)

for name, fields in (
        ('an anchor with another snapshot', {'SnapshotId': 'snap-00000000'}),
        ('an anchor of another account', {'Account': '000000000000'}),
        ('an anchor with text in place of a hash', {'CustodyHead': '{{ x }}'}),
        ('an anchor with a number as case', {'Case': 7}),
        ('an anchor with a line end', {'ImageSha256': 'a' * 64 + '\n'})):
    cloud, snapshot = acquired()
    change(cloud, **fields)
    execution = take(cloud, snapshot)
    tell(name + ' is refused', execution.status == 'Failed' and not copies(cloud),
         execution.steps)
cloud, snapshot = acquired()
cloud.objects.clear()
tell('a snapshot without an anchor is refused', take(cloud, snapshot).status == 'Failed' and
     not copies(cloud), copies(cloud))
cloud, snapshot = acquired()
cloud.faults['copy'] = ['broken']
execution = take(cloud, snapshot)
tell('a copy in error is a failure', execution.status == 'Failed' and
     execution.steps[-1]['StepName'] == 'checkCopy', execution.steps)
cloud.faults.clear()
tell('and is tried again', take(cloud, snapshot).status == 'Success', copies(cloud))
cloud, snapshot = acquired()
cloud.faults['LockSnapshot'] = ['refuse'] * 3
tell('a copy that cannot be locked is a failure', take(cloud, snapshot).status == 'Failed',
     copies(cloud))
sys.exit(failed)
