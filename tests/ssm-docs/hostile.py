"""What a hostile instance may print as its last lines: hostile.py DOCUMENTS. Two thousand
pairs of lines, made from good ones by a fixed seed; gather must take each without an
error, hand on nothing but hashes and plain text, and say COMPLETE for the good ones only."""
import json
import random
import re
import sys
import types

from acquire import BOOK
from cloud import HEAD, LIVE, SEALED, SHA, Host

TEXT = [step['inputs']['Script'] for step in BOOK['mainSteps'] if step['name'] == 'gather'][0]
STRANGE = [None, True, -1, 1 << 70, 1e308, '', '{{ ssm:x }}', SHA.upper(), SHA + '\n',
           'é' * 64, SHA + 'a', [], {}, [[[[[[]]]]]], {'a': {'b': {'c': {'d': {}}}}},
           'x' * 30000, '$(id)', '\x00', '"', [SHA], {'sha256': SHA}, '../../etc', 8 << 40]
RANDOM = random.Random(6)


class Ssm:
    """Three commands, with the lines of this round."""

    def list_commands(self, **_):
        return {'Commands': [{'CommandId': part, 'Comment': 'FVol-%s e' % part}
                             for part in ('Capture', 'Triage', 'Unmount')]}

    def get_command_invocation(self, CommandId, **_):
        return {'ResponseCode': 0, 'Status': 'Success',
                'StandardOutputContent': self.lines[CommandId]}


def spoil(value):
    """Returns the value with one place in it made strange."""
    if isinstance(value, dict) and value and RANDOM.random() < 0.8:
        key = RANDOM.choice(sorted(value))
        if RANDOM.random() < 0.1:
            return {one: item for one, item in value.items() if one != key}
        if RANDOM.random() < 0.1:
            return dict(value, **{RANDOM.choice(('{{ x }}', '', 'y' * 300)): value[key]})
        return dict(value, **{key: spoil(value[key])})
    if isinstance(value, list) and value and RANDOM.random() < 0.8:
        index = RANDOM.randrange(len(value))
        return value[:index] + [spoil(value[index])] * RANDOM.choice((1, 1, 3)) + \
            value[index + 1:]
    return RANDOM.choice(STRANGE)


def line(part):
    value = Host().lines[part]
    for _ in range(RANDOM.choice((0, 1, 1, 2, 5))):
        value = spoil(value)
    text = json.dumps(value)
    if RANDOM.random() < 0.1:
        text = text[:RANDOM.randrange(len(text) + 1)]
    if RANDOM.random() < 0.02:
        text = '[' * 100000
    return RANDOM.choice(('', 'words\n')) + text + RANDOM.choice(('', '\n', '\n\n'))


def good(lines):
    """Whether the lines, read without gather's code, are ones that agree."""
    try:
        capture, triage, unmount = (json.loads(lines[part].strip().split('\n')[-1])
                                    for part in ('Capture', 'Triage', 'Unmount'))
        return capture['sha256'] == SHA and isinstance(capture['ram_bytes'], int) and \
            capture['ram_bytes'] >= (8192 << 20) * 9 // 10 and \
            not unmount.get('trouble') and any(
                isinstance(one, dict) and one.get('sha256') == SHA and
                one.get('custody_head') == SEALED for one in unmount['images']) and \
            triage['sha256'] == LIVE and any(
                isinstance(one, dict) and one.get('sha256') == LIVE and
                one.get('custody_head') == SEALED for one in unmount['triage'])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def main():
    ssm, scope = Ssm(), {}
    sys.modules['boto3'] = types.ModuleType('boto3')
    sys.modules['boto3'].client = lambda service: ssm
    exec(compile(TEXT, 'gather', 'exec'), scope)
    seen, wrong = {'COMPLETE': 0, 'PARTIAL': 0}, []
    for _ in range(2000):
        ssm.lines = {part: line(part) for part in ('Capture', 'Triage', 'Unmount')}
        try:
            out = scope['gather']({'InstanceId': 'i-0', 'Execution': 'e',
                                   'MemoryMiB': 8192, 'Triage': 'yes'}, {})
        except Exception as problem:
            wrong.append('%s: %r' % (problem.__class__.__name__, ssm.lines))
            continue
        text = json.dumps(out)
        if '{{' in text or len(text) > 60000 or not all(
                re.fullmatch('[0-9a-f]{64}|none', out[key])
                for key in ('ImageSha256', 'CustodyHead')) or not re.fullmatch(
                    '[a-z0-9 ,:]{4,120}', out['Triage']):
            wrong.append('handed on: ' + text)
        if (out['Verdict'] == 'COMPLETE') != good(ssm.lines):
            wrong.append('%s for %r' % (out['Verdict'], ssm.lines))
        seen[out['Verdict']] += 1
    right = not wrong and min(seen.values()) > 100
    print('%s hostile: what an instance prints hands nothing on (%s)' %
          ('ok' if right else 'FAIL', seen))
    for one in wrong[:3]:
        print('     | ' + one[:300])
    return 0 if right else 1


assert HEAD != SEALED
sys.exit(main())
