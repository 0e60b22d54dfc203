# Reads what the commands printed and judges the capture. The commands are found by
# their comment, not by the outputs of their steps: Automation promises the output of one
# Run Command step only, and of a failed one none. What the instance printed is foreign: a
# value that has not the form of a hash is dropped.
import json
import re

import boto3

SHA256 = re.compile('^[0-9a-f]{64}\\Z')
PLACE = re.compile('^[A-Za-z0-9/._-]{1,200}\\Z')
TEXT = re.compile('^[A-Za-z0-9 .,:/_()+-]{0,200}\\Z')
PARTS = ('Mount', 'Capture', 'Triage', 'Unmount')


def commands_of(ssm, execution, instance):
    """Returns {part: command id}; a part whose command was never sent is missing."""
    found, token = {}, None
    for _ in range(20):
        more = {'NextToken': token} if token else {}
        answer = ssm.list_commands(InstanceId=instance, MaxResults=50, **more)
        for command in answer['Commands']:
            for part in PARTS:
                if command.get('Comment') == 'FVol-' + part + ' ' + execution:
                    found[part] = command['CommandId']
        token = answer.get('NextToken')
        if not token or len(found) == len(PARTS):
            break
    return found


def last_line(text):
    """Returns the JSON object on the last line, or {}."""
    lines = text.strip().split('\n')
    try:
        value = json.loads(lines[-1])
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def clean(value, depth=0):
    """Returns the value without any text that could mean something to somebody: it is
    handed on through the runbook, where double braces are references."""
    if isinstance(value, dict) and depth < 4:
        return {key: clean(item, depth + 1) for key, item in list(value.items())[:64]
                if TEXT.match(key)}
    if isinstance(value, list) and depth < 4:
        return [clean(item, depth + 1) for item in value[:64]]
    if isinstance(value, str):
        return value if TEXT.match(value) else '?'
    return value if isinstance(value, (int, float, bool)) else None


def result_of(ssm, command, instance):
    """Returns (exit code or -1, status, last line) of one command."""
    answer = ssm.get_command_invocation(CommandId=command, InstanceId=instance)
    code = answer.get('ResponseCode', -1)
    return code, answer['Status'], last_line(answer.get('StandardOutputContent', ''))


def sha256_in(value, key):
    text = value.get(key)
    return text if isinstance(text, str) and SHA256.match(text) else ''


def sealed(unmount, sha256):
    """Returns what unmount said of the image with that hash, or of the only one."""
    images = [image for image in unmount.get('images', []) if isinstance(image, dict)] \
        if isinstance(unmount.get('images'), list) else []
    for image in images:
        if sha256 and image.get('sha256') == sha256:
            return image
    return {} if sha256 or len(images) != 1 else images[0]


def judge(capture, unmount, memory_mib):
    """Returns (verdict, reasons) from (code, status, line) of both."""
    code, status, line = capture
    if code in (1, 2, 4):
        return 'FAILED', ['capture was refused with exit code %d: there is no image' % code]
    reasons = []
    if code == 3:
        reasons.append('memory was captured with gaps')
    elif code != 0:
        reasons.append('capture ended with exit code %d (%s)' % (code, status))
    elif not sha256_in(line, 'sha256'):
        reasons.append('capture printed no hash')
    ram = line.get('ram_bytes')
    if code in (0, 3) and (not isinstance(ram, int) or ram < (memory_mib << 20) * 9 // 10):
        reasons.append('the ranges of memory are less than the instance type has')
    if unmount[0] != 0:
        reasons.append('unmount ended with exit code %d (%s)' % unmount[:2])
    if unmount[2].get('trouble'):
        reasons.append('unmount reports trouble: the volume was ' +
                       re.sub('[^a-z-]', '', str(unmount[2]['trouble'])))
    elif unmount[0] == 0 and sha256_in(line, 'sha256'):
        after = sealed(unmount[2], line['sha256'])
        if not after:
            reasons.append('the hash that unmount found on the volume is another one')
        elif not sha256_in(after, 'custody_head'):
            reasons.append('the evidence was not sealed')
    return ('PARTIAL' if reasons else 'COMPLETE'), reasons


def counts(line):
    """Returns what triage counted, as far as it is numbers."""
    words = ['%d %s' % (line[key], name) for key, name in (
        ('processes', 'processes'), ('findings_high', 'findings of high'),
        ('findings_medium', 'of medium'), ('findings_low', 'of low severity'))
        if type(line.get(key)) is int and 0 <= line[key] < 1 << 32]
    return ': ' + ', '.join(words) if words else ''


def judge_triage(asked, triage, unmount):
    """Returns (what became of the live state, reasons why it is not all that was asked)."""
    code, status, line = triage
    if asked == 'no':
        return 'left out', []
    if code not in (0, 3):
        word = 'refused' if code in (1, 2, 4) else 'failed'
        return word, ['triage %s with exit code %d (%s)' % (word, code, status)]
    said = ('complete' if code == 0 else 'gaps, recorded') + counts(line)
    if not sha256_in(line, 'sha256'):
        return said, ['triage printed no hash']
    found = unmount[2].get('triage')
    after = [one for one in found if isinstance(one, dict) and
             one.get('sha256') == line['sha256']] if isinstance(found, list) else []
    if unmount[0] != 0 or unmount[2].get('trouble'):
        return said, []
    if not after:
        return said, ['the hash of the live state that unmount found is another one']
    if not any(sha256_in(one, 'custody_head') for one in after):
        return said, ['the live state was not sealed']
    return said, []


def ask(events, context):
    """Says whether an unmount that did not end well left the volume unmounted."""
    ssm = boto3.client('ssm')
    command = commands_of(ssm, events['Execution'], events['InstanceId']).get('Unmount')
    if not command:
        return {'Detach': 'no'}
    code, _, line = result_of(ssm, command, events['InstanceId'])
    return {'Detach': 'yes' if code == 3 or line.get('unmounted') is True else 'no'}


def gather(events, context):
    ssm = boto3.client('ssm')
    instance = events['InstanceId']
    found = commands_of(ssm, events['Execution'], instance)
    results = {part: (-1, 'never sent', {}) for part in PARTS}
    for part, command in found.items():
        results[part] = result_of(ssm, command, instance)
    verdict, reasons = judge(results['Capture'], results['Unmount'],
                             int(events['MemoryMiB']))
    live, missing = judge_triage(events['Triage'], results['Triage'], results['Unmount'])
    if missing and verdict == 'COMPLETE':
        verdict = 'PARTIAL'
    reasons += missing
    line = results['Capture'][2]
    sha256 = sha256_in(line, 'sha256')
    after = sealed(results['Unmount'][2], sha256)
    head = sha256_in(after, 'custody_head') or sha256_in(line, 'custody_head')
    place = after.get('image') or line.get('image')
    return {
        'Verdict': verdict,
        'Reason': '; '.join(reasons) or 'captured, hashed, sealed and unmounted',
        'ImageSha256': sha256 or sha256_in(after, 'sha256') or 'none',
        'CustodyHead': head or 'none',
        'Image': place if isinstance(place, str) and PLACE.match(place) else 'none',
        'CaptureExit': str(results['Capture'][0]),
        'Triage': live,
        'Record': json.dumps({part: {'command': found.get(part), 'exit': code,
                                     'status': status, 'last_line': clean(line)}
                              for part, (code, status, line) in results.items()},
                             sort_keys=True),
    }
