# Says how it ended, from what the service recorded of each step and from the volumes that
# are there: an output of a step that did not run cannot be referred to. Never raises for
# what it finds; the step after it turns anything but COMPLETE into a failed execution.
import boto3

# In the order of the runbook; all must have succeeded for COMPLETE.
NEEDED = ('markBegun', 'captureMemory', 'unmountVolume', 'detachVolume', 'waitDetached',
          'createSnapshot', 'waitSnapshot', 'checkSnapshot', 'gather', 'tagSnapshot',
          'anchor', 'lockSnapshot', 'chooseShare', 'markKept', 'deleteVolume')


def steps_of(ssm, execution):
    """Returns {name: step} of the steps that ran."""
    steps, token = {}, None
    while True:
        more = {'NextToken': token} if token else {}
        answer = ssm.describe_automation_step_executions(
            AutomationExecutionId=execution, MaxResults=50, **more)
        for step in answer['StepExecutions']:
            if step['StepStatus'] != 'Pending':
                steps[step['StepName']] = step
        token = answer.get('NextToken')
        if not token:
            return steps


def succeeded(steps, name):
    return name in steps and steps[name]['StepStatus'] == 'Success'


def output(steps, name, key):
    values = steps.get(name, {}).get('Outputs', {}).get(key) or ['']
    return values[0] if succeeded(steps, name) else ''


def why_not(steps):
    """Returns a sentence for each step that did not succeed."""
    return ['step %s: %s' % (name, (step.get('FailureMessage') or step['StepStatus'])
                             .split('\n')[0][:300])
            for name, step in steps.items()
            if step['StepStatus'] not in ('Success', 'InProgress')]


def judge(steps, left):
    """Returns (verdict, reasons)."""
    reasons = why_not(steps)
    if 'captureMemory' not in steps:
        verdict = 'FAILED'
        reasons.append('no capture was begun')
    elif not succeeded(steps, 'checkSnapshot'):
        verdict = 'FAILED'
        reasons.append('there is no completed snapshot of the evidence')
    elif not succeeded(steps, 'gather'):
        verdict = 'PARTIAL'
        reasons.append('what the commands printed could not be read')
    else:
        verdict = output(steps, 'gather', 'Verdict')
        reasons.insert(0, output(steps, 'gather', 'Reason'))
        missing = [name for name in NEEDED if not succeeded(steps, name)]
        if 'shareSnapshot' in steps and not succeeded(steps, 'shareSnapshot'):
            missing.append('shareSnapshot')
        if verdict == 'COMPLETE' and (missing or left):
            verdict = 'PARTIAL'
    reasons += left
    return verdict, reasons


def report(events, context):
    steps = steps_of(boto3.client('ssm'), events['Execution'])
    volumes = boto3.client('ec2').describe_volumes(
        Filters=[{'Name': 'tag:fvol:execution', 'Values': [events['Execution']]}])
    left = ['volume %s is left, %s: %s' %
            (volume['VolumeId'], volume['State'],
             'it holds evidence' if 'captureMemory' in steps else 'delete it by hand')
            for volume in volumes['Volumes']
            if volume['State'] not in ('deleting', 'deleted')]
    verdict, reasons = judge(steps, left)
    return {
        'Verdict': verdict,
        'Reason': '; '.join(reasons)[:2000],
        'SnapshotId': output(steps, 'createSnapshot', 'SnapshotId') or 'none',
        'ImageSha256': output(steps, 'gather', 'ImageSha256') or 'none',
        'CustodyHead': output(steps, 'gather', 'CustodyHead') or 'none',
        'Triage': output(steps, 'gather', 'Triage') or 'unknown',
        'Anchor': output(steps, 'anchor', 'Key') or 'none',
        'VolumesLeft': ' '.join(volume['VolumeId'] for volume in volumes['Volumes']
                                if volume['State'] not in ('deleting', 'deleted')) or 'none',
    }


def end(events, context):
    if events['Verdict'] != 'COMPLETE':
        raise RuntimeError(events['Verdict'] + ': ' + events['Reason'])
    return {'Verdict': events['Verdict']}
