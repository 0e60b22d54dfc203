"""Runs FVol-Acquire through everything that can go wrong: acquire.py DOCUMENTS. Each case
is a line of the table: what happens, and what must come of it."""
import hashlib
import json
import sys

from automation import Execution
from cloud import LIVE, SEALED, SHA, Cloud, Host

DOCUMENTS = sys.argv[1]
BOOK = json.load(open(DOCUMENTS + '/FVol-Acquire.json'))
HASHES = {part: hashlib.sha256(open('%s/FVol-%s.json' % (DOCUMENTS, part), 'rb').read())
          .hexdigest() for part in ('Mount', 'Capture', 'Triage', 'Unmount')}
KEY = 'arn:aws:kms:eu-west-1:999988887777:key/12345678-aaaa-bbbb-cccc-1234567890ab'
ROLE = 'arn:aws:iam::111122223333:role/fvol-acquire'


def parameters(**more):
    return dict({'InstanceId': 'i-0123456789abcdef0', 'SnapshotId': 'snap-0feed0000',
                 'CaseId': 'case-1', 'SecurityAccountId': '999988887777',
                 'KmsKeyId': KEY, 'EvidenceBucket': 'fvol-evidence',
                 'AutomationAssumeRole': ROLE}, **more)


# Name; what the host does; what the cloud is; verdict; what is left of the volume
# (deleted, never, kept, attached); a part of the reason; parameters, cancelled step.
GAPS = {'Capture': dict(Host().lines['Capture'], gaps=1)}
OTHER = {'Unmount': dict(Host().lines['Unmount'], images=[
    {'image': 'x/y/memory.lime', 'sha256': 'd' * 64, 'custody_head': SEALED}])}
CASES = [
    ('all well', {}, {}, 'COMPLETE', 'deleted', 'captured, hashed, sealed'),
    ('capture exit 3', {'capture': 3}, {}, 'PARTIAL', 'deleted', 'gaps'),
    ('capture exit 4', {'capture': 4}, {}, 'FAILED', 'deleted', 'refused with exit code 4'),
    ('capture exit 1', {'capture': 1}, {}, 'FAILED', 'deleted', 'refused with exit code 1'),
    ('capture exit 5', {'capture': 5}, {}, 'PARTIAL', 'deleted', 'exit code 5'),
    ('capture killed', {'capture': 137}, {}, 'PARTIAL', 'deleted', 'exit code 137'),
    ('capture times out', {'capture': 'timeout'}, {}, 'PARTIAL', 'deleted', 'TimedOut'),
    ('capture hangs, unmount is busy', {'capture': 'hang', 'unmount': 4}, {}, 'PARTIAL',
     'attached', 'exit code 4'),
    ('capture is never delivered', {'capture': 'undelivered'}, {}, 'PARTIAL', 'deleted',
     'exit code -1'),
    ('capture prints no hash', {'Capture': {'ram_bytes': 8300 << 20}}, {}, 'PARTIAL',
     'deleted', 'no hash'),
    ('capture prints a list', {'Capture': ['x']}, {}, 'PARTIAL', 'deleted', 'no hash'),
    ('capture prints references', {'Capture': dict(
        Host().lines['Capture'], image='{{ ssm:secret }}', format='{{ CaseId }}')}, {},
     'COMPLETE', 'deleted', 'captured'),
    ('less memory than the type has', {'Capture': dict(
        Host().lines['Capture'], ram_bytes=6000 << 20)}, {}, 'PARTIAL', 'deleted',
     'less than the instance type has'),
    ('unmount finds another hash', OTHER, {}, 'PARTIAL', 'deleted', 'another one'),
    ('unmount does not seal', {'Unmount': {'trouble': 'unsealed', 'images': []}}, {},
     'PARTIAL', 'deleted', 'unsealed'),
    ('unmount exit 3', {'unmount': 3, 'Unmount': {'trouble': 'unsealed', 'images': []}}, {},
     'PARTIAL', 'deleted', 'exit code 3'),
    ('the disk was gone', {'unmount': 5, 'Unmount': {
        'unmounted': True, 'trouble': 'gone', 'images': []}}, {}, 'PARTIAL', 'deleted',
     'the volume was gone'),
    ('unmount exit 4, and nobody can be asked', {'unmount': 4}, {'faults': {
        'ListCommands': ['refuse'] * 9}}, 'PARTIAL', 'attached', 'askUnmount'),
    ('unmount exit 4', {'unmount': 4}, {}, 'PARTIAL', 'attached', 'exit code 4'),
    ('unmount exit 5', {'unmount': 5}, {}, 'PARTIAL', 'attached', 'exit code 5'),
    ('unmount hangs', {'unmount': 'hang'}, {}, 'PARTIAL', 'attached', 'still running'),
    ('mount exit 1', {'mount': 1}, {}, 'FAILED', 'deleted', 'step mountVolume'),
    ('mount exit 4', {'mount': 4}, {}, 'FAILED', 'deleted', 'step mountVolume'),
    ('mount times out', {'mount': 'timeout'}, {}, 'FAILED', 'deleted', 'mountVolume'),
    ('mount fails, unmount too', {'mount': 5, 'unmount': 4}, {}, 'FAILED', 'deleted',
     'unmountEarly'),
    ('the instance is stopped', {}, {'state': 'stopped'}, 'FAILED', 'never',
     'is stopped, not running'),
    ('the agent is lost', {}, {'ping': 'ConnectionLost'}, 'FAILED', 'never',
     'agent of the instance is ConnectionLost'),
    ('no agent', {}, {'ping': None}, 'FAILED', 'never', 'describeAgent'),
    ('16 TiB and more', {}, {'memory_mib': 24 << 20}, 'FAILED', 'never',
     'has at most 16384'),
    ('no volume may be made', {}, {'faults': {'CreateVolume': ['refuse'] * 3}}, 'FAILED',
     'never', 'createVolume'),
    ('the answer of CreateVolume is lost', {}, {'faults': {'CreateVolume': ['cut']}},
     'COMPLETE', 'deleted', 'captured'),
    ('every answer of CreateVolume is lost', {}, {'faults': {
        'CreateVolume': ['cut'] * 3}}, 'FAILED', 'deleted', 'createVolume'),
    ('it cannot be attached', {}, {'faults': {'AttachVolume': ['refuse'] * 3}}, 'FAILED',
     'deleted', 'attachVolume'),
    ('the answer of AttachVolume is lost', {}, {'faults': {'AttachVolume': ['cut']}},
     'FAILED', 'deleted', 'attachVolume'),
    ('it cannot be tagged begun', {}, {'faults': {'CreateTags': ['refuse'] * 3}}, 'FAILED',
     'deleted', 'markBegun'),
    ('the answer of markBegun is lost', {}, {'faults': {'CreateTags': ['cut'] * 3}},
     'FAILED', 'attached', 'may have begun'),
    ('detach fails', {}, {'faults': {'DetachVolume': ['refuse'] * 3}}, 'PARTIAL',
     'attached', 'detachVolume'),
    ('detach never ends', {}, {'faults': {'detaching': ['yes']}}, 'PARTIAL', 'attached',
     'waitDetached'),
    ('no snapshot may be made', {}, {'faults': {'CreateSnapshot': ['refuse'] * 5}},
     'FAILED', 'kept', 'no completed snapshot'),
    ('the snapshot ends in error', {}, {'faults': {'snapshot': ['yes']}}, 'FAILED', 'kept',
     'no completed snapshot'),
    ('the answer of CreateSnapshot is lost', {}, {'faults': {'CreateSnapshot': ['cut']}},
     'COMPLETE', 'deleted', 'captured'),
    ('commands cannot be listed', {}, {'faults': {'ListCommands': ['refuse'] * 9}},
     'PARTIAL', 'deleted', 'gather'),
    ('the bucket has no Object Lock', {}, {'lock': False}, 'PARTIAL', 'deleted', 'anchor'),
    ('it cannot be locked', {}, {'faults': {'LockSnapshot': ['refuse'] * 3}}, 'PARTIAL',
     'deleted', 'lockSnapshot'),
    ('it cannot be shared', {}, {'faults': {'ModifySnapshotAttribute': ['refuse'] * 3}},
     'PARTIAL', 'deleted', 'shareSnapshot'),
    ('it cannot be tagged kept', {}, {'faults': {
        'CreateTags': [None, None] + ['refuse'] * 3}}, 'PARTIAL', 'kept', 'markKept'),
    ('it cannot be deleted', {}, {'faults': {'DeleteVolume': ['refuse'] * 3}}, 'PARTIAL',
     'kept', 'deleteVolume'),
    ('another document', {}, {'hashes': dict(HASHES, Capture='0' * 64)}, 'PARTIAL',
     'deleted', 'captureMemory'),
    ('another bucket', {}, {}, 'PARTIAL', 'deleted', 'anchor', {'EvidenceBucket': 'evil'}),
    ('the account is the security account', {}, {}, 'COMPLETE', 'deleted', 'captured',
     {'account': '999988887777'}),
    ('every call is throttled twice', {}, {'throttle': 2}, 'COMPLETE', 'deleted',
     'captured'),
    ('cancelled while mounting', {}, {}, 'FAILED', 'deleted', 'mountVolume', {},
     'mountVolume'),
    ('cancelled while capturing', {}, {}, 'PARTIAL', 'deleted', 'captureMemory', {},
     'captureMemory'),
    ('triage exit 4 and capture exit 3', {'capture': 3, 'triage': 4}, {}, 'PARTIAL',
     'deleted', 'triage refused'),
    ('triage hangs, unmount is busy', {'triage': 'hang', 'unmount': 4}, {}, 'PARTIAL',
     'attached', 'triage failed'),
    ('another document for triage', {}, {'hashes': dict(HASHES, Triage='0' * 64)},
     'PARTIAL', 'deleted', 'collectLiveState'),
    # The command itself goes on to its end here, and that is what counts.
    ('cancelled while collecting', {}, {}, 'COMPLETE', 'deleted', 'collectLiveState', {},
     'collectLiveState'),
    ('cancelled while unmounting', {}, {}, 'PARTIAL', 'attached', 'unmountVolume', {},
     'unmountVolume'),
]
# What becomes of the live state: name; what the host does; parameter; verdict; output
# Triage; a part of the reason; what triage was told of redaction.
COUNTS = ': 105 processes, 2 findings of high, 1 of medium, 0 of low severity'
UNMOUNT = Host().lines['Unmount']
LIVES = [
    ('triage exit 0', {}, 'yes', 'COMPLETE', 'complete' + COUNTS, 'captured', 'no'),
    ('triage redacts', {}, 'redact', 'COMPLETE', 'complete' + COUNTS, 'captured', 'yes'),
    ('triage is left out', {'triage': 5}, 'no', 'COMPLETE', 'left out', 'captured', None),
    ('triage exit 3', {'triage': 3}, 'yes', 'COMPLETE', 'gaps, recorded' + COUNTS,
     'captured', 'no'),
    ('triage exit 4', {'triage': 4}, 'yes', 'PARTIAL', 'refused',
     'triage refused with exit code 4 (Failed)', 'no'),
    ('triage exit 1', {'triage': 1}, 'yes', 'PARTIAL', 'refused', 'exit code 1', 'no'),
    ('triage exit 5', {'triage': 5}, 'yes', 'PARTIAL', 'failed',
     'triage failed with exit code 5 (Failed)', 'no'),
    ('triage killed', {'triage': 137}, 'yes', 'PARTIAL', 'failed', 'exit code 137', 'no'),
    ('triage times out', {'triage': 'timeout'}, 'yes', 'PARTIAL', 'failed', 'TimedOut',
     'no'),
    ('triage is never delivered', {'triage': 'undelivered'}, 'yes', 'PARTIAL', 'failed',
     'exit code -1', 'no'),
    ('triage prints no hash', {'Triage': {'processes': 7}}, 'yes', 'PARTIAL',
     'complete: 7 processes', 'triage printed no hash', 'no'),
    ('triage prints no numbers', {'Triage': {'processes': '{{ x }}', 'findings_high': True,
                                             'findings_low': -1, 'sha256': LIVE}}, 'yes',
     'COMPLETE', 'complete', 'captured', 'no'),
    ('unmount finds other records', {'Unmount': dict(UNMOUNT, triage=[
        {'sha256': 'd' * 64, 'custody_head': SEALED}, 'x'])}, 'yes', 'PARTIAL',
     'complete' + COUNTS, 'live state that unmount found is another one', 'no'),
    ('unmount knows of no records', {'Unmount': dict(UNMOUNT, triage='x')}, 'yes',
     'PARTIAL', 'complete' + COUNTS, 'another one', 'no'),
    ('unmount does not seal the records', {'Unmount': dict(UNMOUNT, triage=[
        {'sha256': LIVE, 'custody_head': None}])}, 'yes', 'PARTIAL', 'complete' + COUNTS,
     'the live state was not sealed', 'no'),
    ('capture refused, triage not', {'capture': 4}, 'yes', 'FAILED', 'complete' + COUNTS,
     'capture was refused', 'no'),
]
failed = False


def verdict(name, right, detail):
    global failed
    print('%s acquire: %s' % ('ok' if right else 'FAIL', name))
    if not right:
        failed = True
        print('     | %s' % detail)


def run(host, cloud, more=None, cancel=None):
    cloud, more = dict(cloud), dict(more or {})
    throttle = cloud.pop('throttle', 0)
    made = Cloud(Host(**host), **dict({'hashes': HASHES}, **cloud))
    made.account = more.pop('account', made.account)
    if throttle:
        from cloud import KEYS
        made.faults = {api: ['throttle'] * throttle for api in KEYS
                       if api not in ('SendCommand', 'DescribeAutomationStepExecutions',
                                      'ListCommands', 'GetCommandInvocation')}
    return made, Execution(BOOK, made, parameters(**more), cancel).run()


def place(cloud):
    """Where the volume is in the end."""
    if not cloud.volumes:
        return 'deleted' if 'DeleteVolume' in cloud.calls else 'never'
    volume, = cloud.volumes.values()
    return 'attached' if volume['Attachments'] else 'kept'


def judge(case):
    name, host, cloud, wanted, left, reason = case[:6]
    cloud, run_of = run(host, cloud, *case[6:])
    out = {key.partition('.')[2]: value for key, value in run_of.outputs.items()}
    wrong = []
    if out['Verdict'] != wanted:
        wrong.append('verdict %s, not %s' % (out['Verdict'], wanted))
    if reason not in out['Reason']:
        wrong.append('reason without ' + reason)
    if place(cloud) != left:
        wrong.append('the volume is %s, not %s' % (place(cloud), left))
    if cloud.lost:
        wrong.append('EVIDENCE LOST')
    if run_of.status != ('Cancelled' if len(case) > 7 else
                         'Success' if wanted == 'COMPLETE' else 'Failed'):
        wrong.append('status ' + run_of.status)
    if wanted == out['Verdict'] == 'COMPLETE':
        wrong += complete(cloud, out)
    if wanted == 'PARTIAL' and out['SnapshotId'] == 'none':
        wrong.append('no snapshot')
    verdict(name, not wrong, '%s; %s' % (wrong, out))


def judge_live(case):
    name, host, asked, wanted, live, reason, redact = case
    cloud, run_of = run(host, {}, {'Triage': asked})
    out = {key.partition('.')[2]: value for key, value in run_of.outputs.items()}
    order = [one['Comment'].split()[0][5:] for one in cloud.commands.values()]
    told = [one['Parameters']['Redact'][0] for one in cloud.commands.values()
            if one['Comment'].startswith('FVol-Triage ')]
    right = out['Verdict'] == wanted and out['Triage'] == live and \
        reason in out['Reason'] and told == ([redact] if redact else []) and \
        order == [one for one in ('Mount', 'Capture', 'Triage', 'Unmount')
                  if redact or one != 'Triage'] and \
        place(cloud) == 'deleted' and not cloud.lost and out['SnapshotId'] != 'none' and \
        run_of.status == ('Success' if wanted == 'COMPLETE' else 'Failed') and \
        json.loads(cloud.objects[out['Anchor']][0])['Triage'] == live
    verdict(name, right, '%s %s %s' % (out, told, run_of.status))


def complete(cloud, out):
    """What a complete acquisition leaves."""
    snapshot = cloud.snapshots[out['SnapshotId']]
    tags = {tag['Key']: tag['Value'] for tag in snapshot['Tags']}
    anchor = json.loads(cloud.objects[out['Anchor']][0])
    wrong = [] if snapshot['State'] == 'completed' else ['the snapshot is not completed']
    if tags['fvol:memory-sha256'] != SHA or tags['fvol:custody-head'] != SEALED:
        wrong.append('tags %s' % tags)
    if anchor['ImageSha256'] != SHA or anchor['CustodyHead'] != SEALED or \
            anchor['SnapshotId'] != out['SnapshotId'] or anchor['Verdict'] != 'COMPLETE':
        wrong.append('anchor %s' % anchor)
    if '{{' in json.dumps(anchor):
        wrong.append('a reference came through')
    if snapshot['lock'] != ('governance', 365):
        wrong.append('the snapshot is not locked')
    if cloud.account != cloud.security and snapshot.get('shared') != [cloud.security]:
        wrong.append('the snapshot is not shared')
    if not cloud.objects[out['Anchor']][1]:
        wrong.append('the anchor is not locked')
    return wrong


def main():
    for case in CASES:
        judge(case)
    for case in LIVES:
        judge_live(case)
    sizes = {}
    for memory in (512, 1024, 8192, 16384, 1 << 20):
        cloud, _ = run({'capture': 4, 'unmount': 4}, {'memory_mib': memory})
        sizes[memory], = [volume['Size'] for volume in cloud.volumes.values()]
    verdict('the volume has room for memory, 1/16 of it and 1 GiB beside the image',
            sizes == {512: 8, 1024: 8, 8192: 11, 16384: 19, 1 << 20: 1090}, sizes)
    for name, value in (('InstanceId', 'i-0123456789abcdef0; id'), ('SnapshotId', 'snap-'),
                        ('CaseId', 'a b'), ('KmsKeyId', 'alias/aws/ebs'), ('RetentionDays', '0'),
                        ('Throughput', '2000'), ('DocumentPrefix', 'FVol-{{x}}'),
                        ('EvidenceBucket', 'x/y'), ('ObjectLockMode', 'NONE'),
                        ('Triage', 'maybe')):
        try:
            run({}, {}, {name: value})
            verdict('%s=%s is refused' % (name, value), False, 'accepted')
        except Exception as problem:
            verdict('%s=%s is refused' % (name, value), 'is refused' in str(problem), problem)
    return failed


if __name__ == '__main__':
    sys.exit(main())
