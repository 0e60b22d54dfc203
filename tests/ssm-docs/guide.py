"""Holds the guide against what it speaks of: guide.py DOCUMENTS TOP. Links lead somewhere,
scripts are there, and an example of a runbook names parameters that it has, with values
that it takes."""
import json
import os
import re
import sys

DOCUMENTS, TOP = sys.argv[1:3]
PAGES = ['README.md'] + ['docs/' + name for name in sorted(os.listdir(TOP + '/docs'))]
failed = False


def tell(name, wrong):
    global failed
    print('%s guide: %s' % ('FAIL' if wrong else 'ok', name))
    if wrong:
        failed = True
        print('     | %s' % wrong)


def links(page, text):
    for target in re.findall(r'\]\(([^)#]+)\)', text):
        place = os.path.join(TOP, os.path.dirname(page), target)
        if '://' not in target and not os.path.exists(place):
            yield target
    for target in re.findall(r'(?:ssm-docs|cloudformation|kmods/hook|man)/[\w./-]+\w', text):
        if not os.path.exists(os.path.join(TOP, target)):
            yield target


def examples(text):
    """Yields (runbook, {parameter: value}, whether it is cut short by an ellipsis)."""
    for block in re.findall(r'```sh\n(.*?)```', text, re.S):
        block = re.sub(r'\\\n\s*', ' ', block).replace(', ', ',')
        for line in block.split('\n'):
            found = re.search(r'start-automation-execution .*FVol-(\w+)', line)
            given = re.search(r'--parameters\s+(\S+)', line)
            if found and given:
                pairs = given.group(1).split(',')
                yield found.group(1), dict(
                    one.split('=', 1) for one in pairs if '=' in one), '…' in pairs, line


def wrong_examples(text):
    for name, values, short, line in examples(text):
        known = json.load(open('%s/FVol-%s.json' % (DOCUMENTS, name)))['parameters']
        for key, value in values.items():
            if key not in known:
                yield '%s has no parameter %s' % (name, key)
            elif '…' not in value and not re.search(
                    known[key].get('allowedPattern', ''), value):
                yield '%s refuses %s=%s' % (name, key, value)
        target = re.search(r'--target-parameter-name (\w+)', line)
        needed = {key for key, one in known.items() if 'default' not in one}
        needed -= {target.group(1)} if target else set()
        if not short and needed - set(values):
            yield '%s needs %s' % (name, ' '.join(needed - set(values)))


spoken = set()
for page in PAGES:
    text = open(os.path.join(TOP, page)).read()
    tell('the links of %s lead somewhere' % page, list(links(page, text)))
    tell('the examples of %s are right' % page, list(wrong_examples(text)))
    spoken |= {name for name, *_ in examples(text)}
tell('each runbook has an example', {'Acquire', 'Intake', 'BuildModule'} - spoken)
respond = open(TOP + '/docs/respond.md').read()
outputs = json.load(open(DOCUMENTS + '/FVol-Acquire.json'))['outputs']
tell('the outputs of FVol-Acquire are explained',
     [one for one in outputs if '`%s`' % one not in respond])
sys.exit(failed)
