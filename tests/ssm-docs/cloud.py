"""A strict stand-in for the parts of EC2, SSM and S3 that the runbooks call. It knows which
keys a call has, moves volumes and snapshots by its own clock, does what the role's policy
allows and no more, and throws faults on demand. Above all it keeps watch: a volume that
held evidence and is deleted without a completed snapshot is noted in `lost`.

With botocore at hand each call is also held against AWS's own service model."""
import datetime
import json

try:
    import botocore.session
    import botocore.validate
    MODELS = botocore.session.get_session()
except ImportError:
    MODELS = None

SHA, HEAD, SEALED, LIVE = 'a' * 64, 'b' * 64, 'c' * 64, 'e' * 64
KEYS = {
    'DescribeInstances': 'InstanceIds Filters', 'DescribeInstanceTypes': 'InstanceTypes',
    'DescribeSnapshots': 'SnapshotIds OwnerIds Filters',
    'DescribeLockedSnapshots': 'SnapshotIds', 'DescribeVolumes': 'VolumeIds Filters',
    'DescribeInstanceInformation': 'Filters',
    'CreateVolume': 'AvailabilityZone SnapshotId Size VolumeType Iops Throughput '
                    'VolumeInitializationRate Encrypted KmsKeyId ClientToken '
                    'TagSpecifications',
    'AttachVolume': 'VolumeId InstanceId Device', 'DetachVolume': 'VolumeId InstanceId',
    'DeleteVolume': 'VolumeId', 'CreateTags': 'Resources Tags',
    'CreateSnapshot': 'VolumeId Description TagSpecifications',
    'ModifySnapshotAttribute': 'SnapshotId Attribute OperationType UserIds',
    'LockSnapshot': 'SnapshotId LockMode LockDuration CoolOffPeriod',
    'CopySnapshot': 'SourceRegion SourceSnapshotId Description Encrypted KmsKeyId '
                    'TagSpecifications',
    'RunInstances': 'ImageId InstanceType SubnetId MinCount MaxCount IamInstanceProfile '
                    'MetadataOptions InstanceInitiatedShutdownBehavior ClientToken '
                    'TagSpecifications',
    'TerminateInstances': 'InstanceIds',
    'SendCommand': 'DocumentName DocumentHash DocumentHashType InstanceIds Comment '
                   'TimeoutSeconds Parameters',
    'ListCommands': 'InstanceId MaxResults NextToken',
    'GetCommandInvocation': 'CommandId InstanceId',
    'DescribeAutomationStepExecutions': 'AutomationExecutionId MaxResults NextToken',
    'PutObject': 'Bucket Key Body ContentType ChecksumAlgorithm ExpectedBucketOwner '
                 'ObjectLockMode ObjectLockRetainUntilDate',
    'GetObject': 'Bucket Key ExpectedBucketOwner',
}


class Error(Exception):
    def __init__(self, code, message=''):
        super().__init__('An error occurred (%s): %s' % (code, message or code))
        self.response = {'Error': {'Code': code, 'Message': message}}


class Host:
    """What the instance does with the commands: exit codes by part. 'timeout' is the
    agent's limit, 'undelivered' a dead agent, 'hang' one that never answers."""

    def __init__(self, mount=0, capture=0, triage=0, unmount=0, build=0, **lines):
        self.exits = {'Mount': mount, 'Capture': capture, 'Triage': triage,
                      'Unmount': unmount, 'BuildStep': build}
        self.lines = {
            'BuildStep': {},
            'Mount': {'volume': '/run/fvol/volume', 'device': '/dev/nvme1n1'},
            'Capture': {'image': '/run/fvol/volume/evidence/i-0/t/memory.lime',
                        'ram_bytes': 8300 << 20, 'sha256': SHA, 'custody_head': HEAD},
            'Triage': {'where': 'i-0/u', 'processes': 105, 'findings_high': 2,
                       'findings_medium': 1, 'findings_low': 0, 'complete': True,
                       'sha256': LIVE, 'custody_head': HEAD},
            'Unmount': {'unmounted': True, 'trouble': None, 'images': [
                {'image': 'i-0/t/memory.lime', 'sha256': SHA, 'custody_head': SEALED}],
                'triage': [{'records': 'i-0/u/triage.jsonl', 'sha256': LIVE,
                            'custody_head': SEALED}]},
        }
        self.lines.update(lines)


class Cloud:
    Error = Error
    region, account, execution_id = 'eu-west-1', '111122223333', \
        'e0000000-1111-2222-3333-444444444444'
    security, bucket = '999988887777', 'fvol-evidence'

    def __init__(self, host=None, memory_mib=8192, state='running', ping='Online',
                 faults=None, hashes=None, lock=True):
        self.host, self.hashes = host or Host(), hashes
        self.memory_mib, self.state, self.ping, self.lock = memory_mib, state, ping, lock
        self.now, self.serial = 1800000000, 0
        self.volumes, self.snapshots, self.objects = {}, {}, {}
        self.commands, self.calls, self.lost = {}, [], []
        self.builders = {}
        self.faults = {api: list(what) for api, what in (faults or {}).items()}
        self.execution = None
        self.snapshots['snap-0feed0000'] = {
            'SnapshotId': 'snap-0feed0000', 'OwnerId': self.security, 'VolumeSize': 1,
            'State': 'completed', 'ready': 0, 'Tags': []}

    def call(self, service, api, arguments):
        """Every call comes through here. Returns the answer; raises Error."""
        if api not in KEYS or set(arguments) - set(KEYS[api].split()):
            raise AssertionError('%s with %s' % (api, ' '.join(arguments)))
        self.validate(service, api, arguments)
        self.calls.append(api)
        self.now += 1
        fault = self.faults.get(api) and self.faults[api].pop(0)
        if fault == 'throttle':
            raise Error('RequestLimitExceeded', 'Request limit exceeded.')
        if fault == 'refuse':
            raise Error('UnauthorizedOperation', 'You are not authorized.')
        answer = getattr(self, api)(**arguments)
        if fault == 'cut':
            raise Error('RequestTimeout', 'done, but nobody heard')
        return answer

    def validate(self, service, api, arguments):
        if not MODELS:
            return
        model = MODELS.get_service_model(service).operation_model(api)
        wrong = botocore.validate.ParamValidator().validate(arguments, model.input_shape)
        if wrong.has_errors():
            raise AssertionError('%s: %s' % (api, wrong.generate_report()))

    def new(self, kind):
        self.serial += 1
        return '%s-%017x' % (kind, self.serial)

    # EC2
    def RunInstances(self, ClientToken, **_):
        self.builders[ClientToken] = 'i-0b11d000'
        return {'Instances': [{'InstanceId': 'i-0b11d000'}]}

    def TerminateInstances(self, InstanceIds):
        self.builders = {token: one for token, one in self.builders.items()
                         if one not in InstanceIds}
        return {}

    def DescribeInstances(self, InstanceIds=None, Filters=()):
        if InstanceIds is None:
            token, = [one['Values'][0] for one in Filters
                      if one['Name'] == 'tag:fvol:execution']
            return {'Reservations': [{'Instances': [{'InstanceId': self.builders[token]}]}]
                    if token in self.builders else []}
        return {'Reservations': [{'Instances': [{
            'InstanceId': InstanceIds[0], 'InstanceType': 'm5.large',
            'State': {'Name': self.state}, 'Placement': {'AvailabilityZone': 'eu-west-1b'},
            'BlockDeviceMappings': [{'DeviceName': '/dev/xvda'},
                                    {'DeviceName': '/dev/sdf1'}]}]}]}

    def DescribeInstanceTypes(self, InstanceTypes):
        return {'InstanceTypes': [{'MemoryInfo': {'SizeInMiB': self.memory_mib}}]}

    def DescribeSnapshots(self, SnapshotIds=None, OwnerIds=None, Filters=()):
        found = []
        if SnapshotIds is None:
            wanted = {(one['Name'][4:], value) for one in Filters for value in one['Values']}
            SnapshotIds = [name for name, one in self.snapshots.items() if wanted <= {
                (tag['Key'], tag['Value']) for tag in one['Tags']}]
        for name in SnapshotIds:
            one = self.snapshots.get(name)
            if one is None:
                raise Error('InvalidSnapshot.NotFound', name)
            if one['State'] == 'pending' and self.now >= one['ready']:
                one['State'] = 'error' if one.get('broken') else 'completed'
            if OwnerIds is None or one['OwnerId'] in OwnerIds:
                found.append({key: value for key, value in one.items()
                              if key not in ('ready', 'broken', 'volume', 'lock')})
        return {'Snapshots': found}

    def DescribeVolumes(self, VolumeIds=None, Filters=()):
        wanted = {one['Name'][4:]: one['Values'] for one in Filters}
        for volume in self.volumes.values():
            if volume['State'] == 'creating' and self.now >= volume['ready']:
                volume['State'] = 'available'
            for item in list(volume['Attachments']):
                if item['State'] == 'attaching' and self.now >= item['ready']:
                    item['State'] = 'attached'
                if item['State'] == 'detaching' and self.now >= item['ready']:
                    volume['Attachments'].remove(item)
                    volume['State'] = 'available'
        for name in VolumeIds or ():
            if name not in self.volumes:
                raise Error('InvalidVolume.NotFound', name)
        return {'Volumes': [
            volume for name, volume in self.volumes.items()
            if (VolumeIds is None or name in VolumeIds) and all(
                {tag['Key']: tag['Value'] for tag in volume['Tags']}.get(key) in values
                for key, values in wanted.items())]}

    def CreateVolume(self, ClientToken, Size, SnapshotId, KmsKeyId, TagSpecifications,
                     Iops, Throughput, Encrypted, **rest):
        assert Encrypted and rest['VolumeType'] == 'gp3' and 1 <= Size <= 16384
        assert Throughput * 4 <= Iops <= min(16000, 500 * Size)
        for volume in self.volumes.values():
            if volume['token'] == ClientToken:
                return volume
        name = self.new('vol')
        self.volumes[name] = {
            'VolumeId': name, 'State': 'creating', 'Attachments': [], 'Size': Size,
            'Tags': list(TagSpecifications[0]['Tags']), 'token': ClientToken,
            'ready': self.now + 20, 'evidence': False}
        return self.volumes[name]

    def AttachVolume(self, VolumeId, InstanceId, Device):
        volume = self.volumes[VolumeId]
        if volume['State'] != 'available':
            raise Error('VolumeInUse', VolumeId)
        volume['State'] = 'in-use'
        volume['Attachments'] = [{'State': 'attaching', 'ready': self.now + 10,
                                  'InstanceId': InstanceId, 'Device': Device}]
        return {}

    def DetachVolume(self, VolumeId, InstanceId=None):
        volume = self.volumes[VolumeId]
        if not volume['Attachments']:
            raise Error('IncorrectState', VolumeId)
        volume['Attachments'][0].update(
            State='detaching',
            ready=self.now + (10 ** 9 if self.faults.get('detaching') else 10))
        return {}

    def DeleteVolume(self, VolumeId):
        if VolumeId not in self.volumes:
            raise Error('InvalidVolume.NotFound', VolumeId)
        volume = self.volumes[VolumeId]
        tags = {tag['Key']: tag['Value'] for tag in volume['Tags']}
        # What the policy of the role says: cloudformation/member-account.json.
        if tags.get('fvol:state') not in ('fresh', 'kept'):
            raise Error('UnauthorizedOperation', 'fvol:state')
        if volume['Attachments']:
            raise Error('VolumeInUse', VolumeId)
        if volume['evidence'] and not any(
                one.get('volume') == VolumeId and one['State'] == 'completed'
                for one in self.snapshots.values()):
            self.lost.append(VolumeId)
        del self.volumes[VolumeId]
        return {}

    def CreateTags(self, Resources, Tags):
        for name in Resources:
            held = (self.volumes.get(name) or self.snapshots[name])['Tags']
            fresh = {tag['Key'] for tag in Tags}
            held[:] = [tag for tag in held if tag['Key'] not in fresh] + Tags
            assert len(held) <= 50 and all(len(tag['Value']) <= 256 for tag in Tags)
        return {}

    def CreateSnapshot(self, VolumeId, TagSpecifications, **_):
        name = self.new('snap')
        self.snapshots[name] = {
            'SnapshotId': name, 'OwnerId': self.account, 'State': 'pending',
            'VolumeSize': self.volumes[VolumeId]['Size'], 'volume': VolumeId,
            'Tags': list(TagSpecifications[0]['Tags']), 'ready': self.now + 600,
            'broken': bool(self.faults.get('snapshot'))}
        return {'SnapshotId': name}

    def ModifySnapshotAttribute(self, SnapshotId, UserIds, **_):
        assert self.snapshots[SnapshotId]['State'] == 'completed'
        self.snapshots[SnapshotId]['shared'] = UserIds
        return {}

    def LockSnapshot(self, SnapshotId, LockMode, LockDuration, CoolOffPeriod=None):
        assert 1 <= LockDuration <= 36500
        assert LockMode == 'compliance' or CoolOffPeriod is None
        self.snapshots[SnapshotId]['lock'] = (LockMode, LockDuration)
        return {'LockState': LockMode}

    def DescribeLockedSnapshots(self, SnapshotIds):
        return {'Snapshots': [{'SnapshotId': name, 'LockState': one['lock'][0]}
                              for name, one in self.snapshots.items()
                              if name in SnapshotIds and 'lock' in one]}

    def CopySnapshot(self, SourceSnapshotId, TagSpecifications, **_):
        name = self.new('snap')
        self.snapshots[name] = dict(
            self.snapshots[SourceSnapshotId], SnapshotId=name, OwnerId=self.account,
            State='pending', ready=self.now + 900,
            broken=bool(self.faults.get('copy')), Tags=list(TagSpecifications[0]['Tags']))
        return {'SnapshotId': name}

    # SSM
    def DescribeInstanceInformation(self, Filters):
        if self.ping is None:
            return {'InstanceInformationList': []}
        return {'InstanceInformationList': [{'PingStatus': self.ping,
                                             'PlatformType': 'Linux'}]}

    def SendCommand(self, DocumentName, DocumentHash, DocumentHashType, InstanceIds, Comment,
                    TimeoutSeconds, Parameters=None):
        part = DocumentName.rpartition('FVol-')[2]
        assert DocumentHashType == 'Sha256' and len(Comment) <= 100
        if self.hashes and part in self.hashes and self.hashes[part] != DocumentHash:
            raise Error('InvalidDocumentContent', 'the hash differs')
        if part == 'Mount':
            volume = self.volumes.get(Parameters['VolumeId'][0])
            assert volume is None or Parameters['DeviceName'] == [
                one['Device'] for one in volume['Attachments']]
        code = self.host.exits[part]
        if part == 'Capture':
            for volume in self.volumes.values():
                volume['evidence'] = volume['evidence'] or bool(volume['Attachments'])
        if part == 'Triage':
            assert Parameters['Redact'][0] in ('yes', 'no')
        spans = {'hang': 10 ** 9, 'timeout': 1800 if part == 'Triage' else 172800,
                 'undelivered': 600}
        states = {0: 'Success', 'timeout': 'TimedOut', 'undelivered': 'TimedOut'}
        name = 'c0000000-0000-0000-0000-%012x' % (len(self.commands) + 1)
        said = self.host.lines[part]
        line = json.dumps(said) if code in (0, 3) or 'gone' in str(said) else ''
        self.commands[name] = {
            'CommandId': name, 'Comment': Comment, 'DocumentName': DocumentName,
            'Parameters': Parameters,
            'done': self.now + spans.get(code, 30), 'Status': states.get(code, 'Failed'),
            'ResponseCode': code if isinstance(code, int) else -1,
            'StandardOutputContent': 'what went before\n' + line + '\n'}
        return {'Command': {'CommandId': name}}

    def invocation(self, name):
        command = self.commands[name]
        if self.now >= command['done']:
            return command
        return dict(command, Status='InProgress', ResponseCode=-1,
                    StandardOutputContent='')

    def ListCommands(self, InstanceId, MaxResults, NextToken=None):
        """One a page, newest first, among those of others."""
        names = sorted(self.commands, reverse=True)
        index = int(NextToken or 0)
        answer = {'Commands': [self.commands[names[index]]] if names else [
            {'CommandId': 'x', 'Comment': 'somebody else'}]}
        if index + 1 < len(names):
            answer['NextToken'] = str(index + 1)
        return answer

    def GetCommandInvocation(self, CommandId, InstanceId):
        return self.invocation(CommandId)

    def DescribeAutomationStepExecutions(self, AutomationExecutionId, MaxResults,
                                         NextToken=None):
        assert AutomationExecutionId == self.execution_id
        index = int(NextToken or 0)
        answer = {'StepExecutions': self.execution.steps[index:index + 7]}
        if index + 7 < len(self.execution.steps):
            answer['NextToken'] = str(index + 7)
        return answer

    # S3
    def PutObject(self, Bucket, Key, Body, ExpectedBucketOwner, ObjectLockMode,
                  ObjectLockRetainUntilDate, ChecksumAlgorithm, **_):
        if Bucket != self.bucket or ExpectedBucketOwner != self.security:
            raise Error('AccessDenied', 'the bucket has another owner')
        if not self.lock:
            raise Error('InvalidRequest', 'Bucket is missing Object Lock Configuration')
        assert ChecksumAlgorithm == 'SHA256'
        assert ObjectLockRetainUntilDate > datetime.datetime.now(datetime.timezone.utc)
        self.objects[Key] = (Body, ObjectLockMode)
        return {'VersionId': 'v1'}

    def GetObject(self, Bucket, Key, ExpectedBucketOwner):
        if Key not in self.objects:
            raise Error('NoSuchKey', Key)
        return {'Body': Stream(self.objects[Key][0])}


class Stream:
    def __init__(self, data):
        self.data = data

    def read(self, amount=None):
        return self.data if amount is None else self.data[:amount]
