"""Runs FVol-BuildModule: build.py DOCUMENTS. Whatever happens, the builder is gone."""
import hashlib
import json
import sys

from acquire import DOCUMENTS
from automation import Broken, Execution
from cloud import Cloud, Host
from graph import edges

BOOK = json.load(open(DOCUMENTS + '/FVol-BuildModule.json'))
HASH = hashlib.sha256(open(DOCUMENTS + '/FVol-BuildStep.json', 'rb').read()).hexdigest()
failed = False


def tell(name, right, detail):
    global failed
    print('%s build: %s' % ('ok' if right else 'FAIL', name))
    if not right:
        failed = True
        print('     | %s' % detail)


def run(host, cancel=None, **cloud):
    cloud = Cloud(Host(**host), hashes={'BuildStep': HASH}, **cloud)
    return cloud, Execution(BOOK, cloud, {
        'ImageId': 'ami-0123456789abcdef0', 'SubnetId': 'subnet-0123456789abcdef0',
        'Source': 's3://modules/source', 'SourceSha256': 'a' * 64, 'Destination': 's3://modules/new',
        'AutomationAssumeRole': 'arn:aws:iam::999988887777:role/fvol-build'}, cancel).run()


for name, host, cloud, cancel, status in (
        ('all well', {}, {}, None, 'Success'),
        ('the build fails', {'build': 5}, {}, None, 'Failed'),
        ('the build hangs', {'build': 'hang'}, {}, None, 'Failed'),
        ('the agent never comes', {}, {'ping': None}, None, 'Failed'),
        ('no machine may be made', {}, {'faults': {'RunInstances': ['refuse'] * 3}}, None,
         'Failed'),
        ('the answer is lost', {}, {'faults': {'RunInstances': ['cut'] * 3}}, None,
         'Failed'),
        ('it is cancelled', {}, {}, 'build', 'Cancelled')):
    cloud, execution = run(host, cancel, **cloud)
    tell(name, execution.status == status and not cloud.builders,
         (execution.status, cloud.builders, execution.steps))

steps = {step['name']: step for step in BOOK['mainSteps']}
todo, bad = [('start', False)], set()
while todo:
    name, back = todo.pop()
    back = back or 'terminate_instances' in steps[name]['inputs'].get('Script', '')
    for kind, target in edges(BOOK, steps[name]):
        if target is not None:
            todo.append((target, back))
        elif not back:
            bad.add(name)
tell('no path leaves the builder', not bad, bad)
try:
    Execution(dict(BOOK, schemaVersion='0.2'), Cloud(), {})
    tell('another schema version is refused', False, '')
except Broken:
    tell('another schema version is refused', True, '')
sys.exit(failed)
