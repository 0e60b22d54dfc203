# Takes back a volume on which no capture has begun: detaches it and deletes it. It is found
# by the tag of this execution, for a CreateVolume that was cut off has left no id. A volume
# with any other state than "fresh" is not touched: it may hold evidence.
import time

import boto3


def code_of(problem):
    return getattr(problem, 'response', {}).get('Error', {}).get('Code', '')


def find(ec2, execution):
    answer = ec2.describe_volumes(
        Filters=[{'Name': 'tag:fvol:execution', 'Values': [execution]}])
    return answer['Volumes']


def take_back(ec2, volume):
    """Returns None when the volume is gone, else a sentence."""
    name = volume['VolumeId']
    tags = {tag['Key']: tag['Value'] for tag in volume.get('Tags', [])}
    if tags.get('fvol:state') != 'fresh':
        return name + ' is kept: a capture may have begun on it'
    if volume['State'] in ('deleting', 'deleted'):
        return None
    try:
        where = (volume.get('Attachments') or [{}])[0]
        if where.get('State') == 'attached':
            ec2.detach_volume(VolumeId=name, InstanceId=where['InstanceId'])
        elif volume['State'] in ('available', 'error'):
            ec2.delete_volume(VolumeId=name)
            return None
    except Exception as problem:
        if code_of(problem) == 'InvalidVolume.NotFound':
            return None
        return name + ': ' + str(problem)
    return name + ' is still ' + volume['State']


def discard(events, context):
    ec2 = boto3.client('ec2')
    left = []
    # The service ends a script after ten minutes. A volume that was just made may not be
    # listed yet, so an empty list counts only after a while.
    for look in range(50):
        left = [why for why in (take_back(ec2, volume)
                                for volume in find(ec2, events['Execution'])) if why]
        if not left and look >= 3:
            return {'Left': ''}
        if left and all(why.endswith('begun on it') for why in left):
            break
        time.sleep(10)
    raise RuntimeError('; '.join(left))
