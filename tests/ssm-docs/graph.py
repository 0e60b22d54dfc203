"""Proves over every path of FVol-Acquire what no single run can: graph.py RUNBOOK.

An edge is a success, a failure or timeout, a cancellation, a choice of a branch. The walk
visits every state (step, volume made, capture begun, snapshot completed, taken back) that
any path leads to, so it is exhaustive; and it is run over broken copies of the runbook,
each of which must be caught."""
import copy
import json
import re
import sys

from automation import REFERENCE, check


def deletes(step):
    inputs = step['inputs']
    return inputs.get('Api') == 'DeleteVolume' or 'delete_volume' in inputs.get('Script', '')


def takes_back(step):
    return 'delete_volume' in step['inputs'].get('Script', '')


def proves_snapshot(step):
    inputs = step['inputs']
    return step['action'] == 'aws:assertAwsResourceProperty' and \
        inputs['Api'] == 'DescribeSnapshots' and inputs['DesiredValues'] == ['completed'] \
        and inputs['PropertySelector'] == '$.Snapshots[0].State' \
        and inputs['SnapshotIds'] == ['{{ createSnapshot.SnapshotId }}']


def edges(book, step):
    """Yields (kind, name of the next step or None)."""
    order = [one['name'] for one in book['mainSteps']]
    index = order.index(step['name']) + 1
    following = step.get('nextStep') or (order[index] if index < len(order) else None)
    if step['action'] == 'aws:branch':
        for choice in step['inputs']['Choices']:
            yield 'success', choice['NextStep']
        yield 'success', step['inputs'].get('Default', following)
    else:
        yield 'success', None if step.get('isEnd') else following
        target = step.get('onFailure', 'Abort')
        yield 'failure', (target[5:] if target.startswith('step:') else
                          following if target == 'Continue' else None)
    target = step.get('onCancel')
    if target:
        yield 'cancel', target[5:] if target.startswith('step:') else None


def walk(book):
    """Returns the complaints, and the number of states."""
    check(book)
    steps = {step['name']: step for step in book['mainSteps']}
    complaints, seen = set(), set()
    todo = [(book['mainSteps'][0]['name'], False, False, False, False)]
    while todo:
        state = todo.pop()
        if state in seen:
            continue
        seen.add(state)
        name, made, begun, completed, back = state
        step = steps[name]
        if deletes(step) and begun and not completed:
            complaints.add('%s may delete evidence without a snapshot' % name)
        if takes_back(step) and begun:
            complaints.add('%s is reached after the capture was begun' % name)
        made = made or step['inputs'].get('Api') == 'CreateVolume'
        begun = begun or step['inputs'].get('DocumentName', '').endswith('Capture')
        back = back or takes_back(step)
        if made and not begun and not back and 'onCancel' not in step:
            complaints.add('cancelling %s may leave a volume' % name)
        for kind, target in edges(book, step):
            done = completed or (kind == 'success' and proves_snapshot(step))
            if target is not None:
                todo.append((target, made, begun, done, back))
            elif name not in ('report', 'end') and kind != 'cancel':
                complaints.add('the runbook may end at %s, without a report' % name)
            elif made and not begun and not back:
                complaints.add('a volume that was never captured to may be left')
    for step in book['mainSteps']:
        if step['name'] not in {state[0] for state in seen}:
            complaints.add('%s is never reached' % step['name'])
    return complaints | available(book, steps), len(seen)


def available(book, steps):
    """Each output that a step refers to must be there on every path that leads to it: what
    the service does otherwise is not documented."""
    order, must = topological(book, steps), {}
    must[order[0]] = frozenset()
    complaints = set()
    for name in order:
        have = must.get(name, frozenset())
        for reference in REFERENCE.findall(json.dumps(steps[name]['inputs'])):
            head, _, key = reference.partition('.')
            if key and head in steps and head not in have:
                complaints.add('%s needs %s, which may not be there' % (name, reference))
        if steps[name]['inputs'].get('DocumentName', '').endswith('Capture') and \
                'markBegun' not in have:
            complaints.add('a capture may begin without the mark')
        for kind, target in edges(book, steps[name]):
            if target is not None:
                gains = have | {name} if kind == 'success' else have
                must[target] = must[target] & gains if target in must else gains
    return complaints


def topological(book, steps):
    order, state = [], {}

    def visit(name):
        if state.get(name) == 'open':
            raise ValueError('a cycle through ' + name)
        if name in state:
            return
        state[name] = 'open'
        for _, target in edges(book, steps[name]):
            if target is not None:
                visit(target)
        state[name] = 'closed'
        order.insert(0, name)
    visit(book['mainSteps'][0]['name'])
    return order


# What is broken: (step, key, value), and a part of the complaint that must follow.
BROKEN = [
    ('captureMemory', 'onFailure', 'step:markKept', 'may delete evidence'),
    ('captureMemory', 'onFailure', 'step:discard', 'after the capture was begun'),
    ('captureMemory', 'onCancel', 'step:discard', 'after the capture was begun'),
    ('captureMemory', 'onFailure', 'Abort', 'may end at captureMemory'),
    ('collectLiveState', 'onFailure', 'step:markKept', 'may delete evidence'),
    ('collectLiveState', 'onCancel', 'step:discard', 'after the capture was begun'),
    ('collectLiveState', 'onFailure', 'Abort', 'may end at collectLiveState'),
    ('unmountVolume', 'onFailure', 'step:deleteVolume', 'may delete evidence'),
    ('detachVolume', 'onFailure', 'step:markKept', 'may delete evidence'),
    ('createSnapshot', 'onFailure', 'step:markKept', 'may delete evidence'),
    ('waitSnapshot', 'nextStep', 'markKept', 'may delete evidence'),
    ('waitSnapshot', 'onFailure', 'step:gather', 'may delete evidence'),
    ('checkSnapshot', 'onFailure', 'step:gather', 'may delete evidence'),
    ('checkSnapshot', 'onFailure', 'Continue', 'may delete evidence'),
    ('createVolume', 'onFailure', 'step:report', 'may be left'),
    ('waitVolume', 'onCancel', 'step:report', 'may be left'),
    ('mountVolume', 'onCancel', 'Abort', 'may be left'),
    ('unmountEarly', 'onFailure', 'step:report', 'may be left'),
    ('mountVolume', 'nextStep', 'captureMemory', 'without the mark'),
    ('gather', 'onFailure', 'step:tagSnapshot', 'needs gather.'),
    ('plan', 'onFailure', 'step:createVolume', 'needs plan.'),
]


def main(path):
    book = json.load(open(path))
    complaints, states = walk(book)
    right = not complaints
    print('%s graph: no path deletes evidence, leaves a volume or lacks a report (%d states)'
          % ('ok' if right else 'FAIL', states))
    for complaint in sorted(complaints):
        print('     | ' + complaint)
    for name, key, value, wanted in BROKEN:
        other = copy.deepcopy(book)
        step, = [one for one in other['mainSteps'] if one['name'] == name]
        step[key] = value
        found = any(wanted in complaint for complaint in walk(other)[0])
        print('%s graph: %s of %s as %s is caught' % ('ok' if found else 'FAIL', key, name,
                                                       value))
        right = right and found
    other = json.loads(re.sub(r'\["completed"\]', '["completed", "error"]',
                              json.dumps(book)))
    found = any('may delete evidence' in complaint for complaint in walk(other)[0])
    print('%s graph: a snapshot in error is no proof' % ('ok' if found else 'FAIL'))
    return 0 if right and found else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
