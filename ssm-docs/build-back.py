# Takes the builder back, whatever came of it. By the tag of this execution, for a call that
# was cut off has left no id.
import boto3


def back(events, context):
    ec2 = boto3.client('ec2')
    found = [instance['InstanceId']
             for reservation in ec2.describe_instances(Filters=[
                 {'Name': 'tag:fvol:execution', 'Values': [events['Execution']]},
                 {'Name': 'instance-state-name',
                  'Values': ['pending', 'running', 'stopping', 'stopped']}])['Reservations']
             for instance in reservation['Instances']]
    if found:
        ec2.terminate_instances(InstanceIds=found)
    return {'Count': len(found)}


def failed(events, context):
    raise RuntimeError('the module was not built: see the output of the step build')
