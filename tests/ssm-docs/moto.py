"""Runs FVol-Acquire with EC2 and S3 answered by moto_server, which somebody else wrote:
moto.py DOCUMENTS. The commands on the instance, and Snapshot Lock, which moto lacks,
stay the stand-in's."""
import hashlib
import json
import os
import socket
import subprocess
import sys
import time

import boto3

from acquire import BOOK, DOCUMENTS, parameters
from automation import Execution
from cloud import SEALED, SHA, Cloud, Error, Host



def free_port():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return str(one.getsockname()[1])


def start():
    """Starts moto_server on loopback. Returns its process once it answers."""
    server = subprocess.Popen(['moto_server', '-H', '127.0.0.1', '-p', PORT],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(300):
        try:
            socket.create_connection(('127.0.0.1', int(PORT)), 1).close()
            return server
        except OSError:
            time.sleep(0.1)
    server.kill()
    raise SystemExit('moto_server does not answer')


PORT = free_port()


class MotoCloud(Cloud):
    account = security = '123456789012'

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.clients = {service: boto3.client(
            service, region_name=self.region, aws_access_key_id='x',
            aws_secret_access_key='x', endpoint_url='http://127.0.0.1:' + PORT)
            for service in ('ec2', 's3', 'sts')}

    def call(self, service, api, arguments):
        if service == 'ssm' or api == 'LockSnapshot':
            return super().call(service, api, arguments)
        self.calls.append(api)
        self.now += 1
        name = ''.join('_' + one.lower() if one.isupper() else one for one in api)[1:]
        try:
            return getattr(self.clients[service], name)(**arguments)
        except self.clients[service].exceptions.ClientError as problem:
            raise Error(problem.response['Error']['Code'], str(problem))

    def LockSnapshot(self, SnapshotId, LockMode, LockDuration):
        self.locked = SnapshotId
        return {}

    def SendCommand(self, DocumentName, **more):
        if DocumentName.endswith('Capture'):
            volumes = self.clients['ec2'].describe_volumes(Filters=[
                {'Name': 'tag:fvol:execution', 'Values': [self.execution_id]}])['Volumes']
            self.attached = [item['Device'] for item in volumes[0]['Attachments']]
        return super().SendCommand(DocumentName, **more)


def prepare(cloud):
    """Makes an instance, a release snapshot and a bucket. Returns the parameters."""
    ec2, s3 = cloud.clients['ec2'], cloud.clients['s3']
    image = ec2.describe_images()['Images'][0]['ImageId']
    instance = ec2.run_instances(ImageId=image, InstanceType='m5.large', MinCount=1,
                                 MaxCount=1)['Instances'][0]
    volume = ec2.create_volume(
        AvailabilityZone=instance['Placement']['AvailabilityZone'], Size=1)
    release = ec2.create_snapshot(VolumeId=volume['VolumeId'])
    if cloud.bucket not in [one['Name'] for one in s3.list_buckets()['Buckets']]:
        s3.create_bucket(Bucket=cloud.bucket, ObjectLockEnabledForBucket=True,
                         CreateBucketConfiguration={'LocationConstraint': cloud.region})
    return parameters(InstanceId=instance['InstanceId'], SnapshotId=release['SnapshotId'],
                      SecurityAccountId=cloud.security)


def judge(name, cloud, wanted):
    run = Execution(BOOK, cloud, prepare(cloud)).run()
    out = {key.partition('.')[2]: value for key, value in run.outputs.items()}
    left = [volume for volume in cloud.clients['ec2'].describe_volumes(Filters=[
        {'Name': 'tag:fvol:execution', 'Values': [cloud.execution_id]}])['Volumes']]
    right = out['Verdict'] == wanted and not left
    if wanted != 'FAILED':
        tags = {tag['Key']: tag['Value'] for tag in cloud.clients['ec2'].describe_snapshots(
            SnapshotIds=[out['SnapshotId']])['Snapshots'][0]['Tags']}
        anchor = cloud.clients['s3'].get_object(Bucket=cloud.bucket, Key=out['Anchor'])
        body = json.load(anchor['Body'])
        right = right and tags['fvol:memory-sha256'] == SHA == body['ImageSha256'] and \
            tags['fvol:custody-head'] == SEALED and \
            anchor['ObjectLockMode'] == 'GOVERNANCE' and \
            cloud.locked == out['SnapshotId'] and len(cloud.attached) == 1
    print('%s moto: %s' % ('ok' if right else 'FAIL', name))
    if not right:
        print('     | %s %s' % (out, left))
    return right


def stands(name, template, parameters):
    """Both templates are taken, and their outputs are there."""
    stack = boto3.client('cloudformation', endpoint_url='http://127.0.0.1:' + PORT,
                         region_name=Cloud.region, aws_access_key_id='x',
                         aws_secret_access_key='x')
    body = open(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                             '../../cloudformation', template)).read()
    stack.create_stack(StackName=name, TemplateBody=body, Capabilities=[
        'CAPABILITY_NAMED_IAM'], Parameters=[
            {'ParameterKey': key, 'ParameterValue': value}
            for key, value in parameters.items()])
    found = stack.describe_stacks(StackName=name)['Stacks'][0]
    outputs = {one['OutputKey']: one['OutputValue'] for one in found['Outputs']}
    right = found['StackStatus'] == 'CREATE_COMPLETE' and \
        set(outputs) == set(json.loads(body)['Outputs'])
    print('%s moto: %s makes a stack' % ('ok' if right else 'FAIL', template))
    return right, outputs


def documents():
    """The documents are taken in the formats of bootstrap.sh, and their hash is ours."""
    ssm = boto3.client('ssm', endpoint_url='http://127.0.0.1:' + PORT,
                       region_name=Cloud.region, aws_access_key_id='x',
                       aws_secret_access_key='x')
    right = True
    for name in ('Mount', 'Capture', 'Triage', 'Unmount', 'BuildStep', 'Acquire', 'Intake',
                 'BuildModule'):
        text = open('%s/FVol-%s.json' % (DOCUMENTS, name)).read()
        runbook = json.loads(text)['schemaVersion'] == '0.3'
        made = ssm.create_document(
            Name='FVol-' + name, Content=text,
            DocumentType='Automation' if runbook else 'Command',
            DocumentFormat='YAML' if runbook else 'JSON')['DocumentDescription']
        right = right and made['Hash'] == hashlib.sha256(text.encode()).hexdigest()
    print('%s moto: the documents are registered under their hash' %
          ('ok' if right else 'FAIL'))
    return right


def main():
    results = [documents()]
    right, outputs = stands('fvol-security', 'security-account.json', {
        'MemberAccounts': '111122223333,444455556666'})
    results.append(right)
    results.append(stands('fvol-member', 'member-account.json', {
        'SecurityAccountId': '999988887777', 'ReleaseKeyArn': outputs['ReleaseKeyArn'],
        'EvidenceKeyArn': outputs['EvidenceKeyArn'],
        'EvidenceBucket': outputs['EvidenceBucketName'], 'Uploads': 'yes'})[0])
    for index, (name, host, wanted) in enumerate((
            ('all well', {}, 'COMPLETE'), ('capture exit 3', {'capture': 3}, 'PARTIAL'),
            ('capture exit 5', {'capture': 5}, 'PARTIAL'),
            ('mount exit 4', {'mount': 4}, 'FAILED'))):
        cloud = MotoCloud(Host(**host))
        cloud.execution_id = cloud.execution_id[:-1] + str(index)
        results.append(judge(name, cloud, wanted))
    return 0 if all(results) else 1


SERVER = start()
try:
    CODE = main()
finally:
    SERVER.kill()
    SERVER.wait()
sys.exit(CODE)
