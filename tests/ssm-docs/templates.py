"""Structural checks of the CloudFormation templates: templates.py DOCUMENTS TEMPLATES.
Above all: what the runbooks call is allowed, and nothing else is."""
import json
import re
import sys

DOCUMENTS, TEMPLATES = sys.argv[1:3]
SECURITY = json.load(open(TEMPLATES + '/security-account.json'))
MEMBER = json.load(open(TEMPLATES + '/member-account.json'))
ANALYST = json.load(open(TEMPLATES + '/analyst-account.json'))
failed = False


def tell(name, wrong):
    global failed
    print('%s templates: %s' % ('FAIL' if wrong else 'ok', name))
    if wrong:
        failed = True
        print('     | %s' % wrong)


def listed(value):
    return value if isinstance(value, list) else [value]


def statements(resource):
    properties = resource.get('Properties', {})
    documents = [properties.get(key) for key in (
        'KeyPolicy', 'PolicyDocument', 'AssumeRolePolicyDocument')]
    documents += [one['PolicyDocument'] for one in properties.get('Policies', [])]
    return [one for document in documents if document for one in document['Statement']]


def everything():
    for template in (SECURITY, MEMBER, ANALYST):
        for name, resource in template['Resources'].items():
            for statement in statements(resource):
                yield name, resource, statement


def explained():
    for name, resource, statement in everything():
        why = resource.get('Metadata', {}).get('Why', {}).get(statement.get('Sid'), '')
        if len(why) < 20 or not why.endswith('.'):
            yield '%s/%s is not explained' % (name, statement.get('Sid'))
    for template in (SECURITY, MEMBER, ANALYST):
        for name, resource in template['Resources'].items():
            known = {one['Sid'] for one in statements(resource)}
            for sid in set(resource.get('Metadata', {}).get('Why', {})) - known:
                yield '%s/%s is explained but not there' % (name, sid)
            sids = [one['Sid'] for one in statements(resource)]
            if len(sids) != len(set(sids)):
                yield '%s has a Sid twice' % name


def stars():
    for name, resource, statement in everything():
        where = '%s/%s' % (name, statement['Sid'])
        if set(statement) - {'Sid', 'Effect', 'Principal', 'Action', 'Resource',
                             'Condition'}:
            yield where + ' has NotAction or the like'
        for action in listed(statement['Action']):
            if '*' in action and not (
                    action == 'kms:*' and statement['Sid'] == 'Administer' or
                    action == 's3:*' and statement['Effect'] == 'Deny'):
                yield '%s allows %s' % (where, action)
        if statement['Effect'] == 'Allow' and statement.get('Principal') == '*':
            yield where + ' allows everybody'
        why = resource['Metadata']['Why'][statement['Sid']]
        whole = listed(statement.get('Resource', ''))
        if '*' in whole and statement['Effect'] == 'Allow' and 'star' not in why:
            yield where + ' does not say why the resource is a star'


def member_keys():
    """No member may use a key but through a service, or the vault's key at all."""
    keys = [(name, SECURITY['Resources'][name]) for name in (
        'ReleaseKey', 'EvidenceKey', 'VaultKey')]
    keys.append(('AnalysisKey', ANALYST['Resources']['AnalysisKey']))
    for name, key in keys:
        for one in statements(key):
            if one['Sid'] == 'Administer':
                continue
            if name == 'VaultKey' or not re.search(
                    'kms:ViaService|kms:GrantIsForAWSResource', json.dumps(one.get('Condition'))):
                yield '%s/%s' % (name, one['Sid'])


def bucket():
    it = SECURITY['Resources']['EvidenceBucket']
    properties = it['Properties']
    wanted = {
        'ObjectLockEnabled': True,
        'VersioningConfiguration': {'Status': 'Enabled'},
        'PublicAccessBlockConfiguration': dict.fromkeys((
            'BlockPublicAcls', 'BlockPublicPolicy', 'IgnorePublicAcls',
            'RestrictPublicBuckets'), True),
    }
    for key, value in wanted.items():
        if properties.get(key) != value:
            yield key
    if 'DefaultRetention' not in json.dumps(properties['ObjectLockConfiguration']):
        yield 'no default retention'
    if it.get('DeletionPolicy') != 'Retain':
        yield 'the bucket goes with the stack'
    policy = json.dumps(SECURITY['Resources']['EvidenceBucketPolicy'])
    for part in ('"aws:SecureTransport": "false"', '"s3:TlsVersion": "1.2"',
                 '${!aws:PrincipalAccount}'):
        if part not in policy:
            yield part
    for _, _, one in everything():
        if one['Effect'] == 'Allow' and any(
                action in ('s3:DeleteObject', 's3:BypassGovernanceRetention',
                           's3:DeleteObjectVersion') for action in listed(one['Action'])):
            yield one['Sid'] + ' may delete evidence'


def law():
    """Volumes are deleted by the tag's leave only, and no role of ours unlocks."""
    for name, _, one in everything():
        actions = listed(one['Action'])
        if 'ec2:DeleteVolume' in actions and one.get('Condition', {}).get(
                'StringEquals', {}).get('aws:ResourceTag/fvol:state') != ['fresh', 'kept']:
            yield name + ' may delete a volume with evidence'
        if {'ec2:UnlockSnapshot', 'ec2:DeleteVolumes'} & set(actions):
            yield name + ' may unlock'


def only_read():
    """Who analyses writes nothing but volumes of an analysis, and no object or snapshot of
    evidence; what is handed over goes to one account."""
    may = {'CreateVolume', 'CreateTags', 'AttachVolume', 'DetachVolume', 'DeleteVolume',
           'CopySnapshot', 'GetObject', 'GetObjectVersion', 'ListBucket',
           'ListBucketVersions'}
    for template in (SECURITY, ANALYST):
        for one in statements(template['Resources']['AnalystPolicy']):
            for action in listed(one['Action']):
                service, name = action.split(':')
                if service != 'kms' and name not in may and not name.startswith('Describe'):
                    yield '%s allows %s' % (one['Sid'], action)
            condition = json.dumps(one.get('Condition', {}))
            if 'ec2:DeleteVolume' in listed(one['Action']) and \
                    'aws:ResourceTag/fvol:analysis' not in condition:
                yield one['Sid'] + ' deletes other volumes'
            if 'volume/*' in json.dumps(one['Resource']) and not re.search(
                    'fvol:analysis|ec2:CreateAction', condition):
                yield one['Sid'] + ' touches other volumes'
            if 'instance/*' in json.dumps(one['Resource']) and 'fvol:analyst' not in condition:
                yield one['Sid'] + ' touches instances under investigation'
    share = [one for one in statements(SECURITY['Resources']['HandOverPolicy'])
             if 'ec2:ModifySnapshotAttribute' in listed(one['Action'])]
    if [one['Condition']['StringEquals'] for one in share] != [
            {'ec2:Add/userId': {'Ref': 'AnalystAccountId'}}]:
        yield 'evidence may be shared with others'


def by_hand():
    """The commands of the guide are those that the role fvol-acquire may give; and who may
    take the role is one that the stack names."""
    text = open(TEMPLATES + '/../docs/respond.md').read()
    section = text.split('## By hand')[1].split('\n## ')[0]
    allowed = {action for one in statements(MEMBER['Resources']['AcquireRole'])
               for action in listed(one['Action'])}
    called = {(service, ''.join(word.capitalize() for word in call.split('-')))
              for service, call in re.findall(r'\baws (ec2|ssm) ([a-z-]+)', section)}
    if not called:
        yield 'no commands'
    for service, call in sorted(called):
        if '%s:%s' % (service, call) not in allowed and call != 'Wait':
            yield 'fvol-acquire may not call %s:%s' % (service, call)
    trust = {one['Sid']: one for one in statements(MEMBER['Resources']['AcquireRole'])}
    if trust['TrustByHand']['Condition'] != {
            'ArnLike': {'aws:PrincipalArn': {'Fn::Sub': 'arn:${AWS::Partition}:iam::'
                                             '${AWS::AccountId}:role/${ByHand}'}}} or \
            MEMBER['Parameters']['ByHand']['Default'] != ':nobody':
        yield 'anybody may take fvol-acquire'


def used(runbook):
    """The IAM actions that a runbook calls, found in its steps and scripts."""
    book, found = json.load(open('%s/%s.json' % (DOCUMENTS, runbook))), set()
    for step in book['mainSteps']:
        inputs = step['inputs']
        if 'Api' in inputs:
            found.add('%s:%s' % (inputs['Service'], inputs['Api']))
        if step['action'] == 'aws:runCommand':
            # Automation sends the command and asks how it goes.
            found |= {'ssm:SendCommand', 'ssm:ListCommands', 'ssm:ListCommandInvocations'}
        if 'TagSpecifications' in inputs:
            found.add('ec2:CreateTags')
        if 'IamInstanceProfile' in inputs:
            found.add('iam:PassRole')
        text = inputs.get('Script', '')
        services = dict(re.findall(r"(\w+) = boto3\.client\('(\w+)'\)\n", text))
        calls = re.findall(r"\b(\w+)\.(\w+)\(", text)
        calls += re.findall(r"boto3\.client\('(\w+)'\)\.(\w+)\(", text)
        for name, call in calls:
            service = services.get(name, name)
            if service in ('ec2', 's3', 'ssm') and call != 'client':
                found.add('%s:%s' % (service, ''.join(
                    word.capitalize() for word in call.split('_'))))
            if call == 'put_object' and 'ObjectLockMode' in text:
                found.add('s3:PutObjectRetention')
    return found


def least(template, role, runbook):
    allowed = {action for one in statements(template['Resources'][role])
               for action in listed(one['Action'])
               if not action.startswith(('kms:', 'sts:'))}
    called = used(runbook)
    for action in sorted(called - allowed):
        yield '%s calls %s' % (runbook, action)
    for action in sorted(allowed - called):
        yield '%s never calls %s' % (runbook, action)


def defaults():
    """Every name of a role in a runbook's words is one that a template makes."""
    names = {resource['Properties'].get('RoleName')
             for template in (SECURITY, MEMBER, ANALYST) for resource in
             template['Resources'].values()}
    for runbook in ('Acquire', 'Intake', 'BuildModule'):
        text = open('%s/FVol-%s.json' % (DOCUMENTS, runbook)).read()
        for name in re.findall(r'ARN of the role (fvol-[a-z]+)', text):
            if name not in names:
                yield name


tell('every statement is explained', list(explained()))
tell('no wildcard but those that are explained', list(stars()))
tell('keys are used through services only, the vault by no member', list(member_keys()))
tell('the bucket keeps what it is given', list(bucket()))
tell('no role deletes evidence', list(law()))
tell('who analyses only reads', list(only_read()))
tell('acquiring by hand is what fvol-acquire may do, for whom the stack names',
     list(by_hand()))
tell('fvol-acquire may do what FVol-Acquire calls, and no more',
     list(least(MEMBER, 'AcquireRole', 'FVol-Acquire')))
tell('fvol-intake may do what FVol-Intake calls, and no more',
     list(least(SECURITY, 'IntakeRole', 'FVol-Intake')))
tell('fvol-build may do what FVol-BuildModule calls, and no more',
     list(least(SECURITY, 'BuildRole', 'FVol-BuildModule')))
tell('the roles that are spoken of are made', list(defaults()))
tell('they fit into one call',
     [name for name in ('security', 'member', 'analyst')
      if len(open('%s/%s-account.json' % (TEMPLATES, name)).read()) > 51200])
sys.exit(failed)
