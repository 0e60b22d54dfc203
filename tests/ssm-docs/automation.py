"""Executes an Automation runbook (schema 0.3) as the service documents it, strictly: what
the service leaves open (an output of a step that did not run, an unknown key) is an error
here. Time is the cloud's own clock, so that two days take no time.

Documented and relied upon: onFailure holds for a timeout too; maxAttempts counts all
tries; a failed step that is not critical does not make the execution fail; a script sees
boto3 with the rights of the assumed role."""
import json
import re
import sys
import time
import types

ACTIONS = {
    'aws:executeAwsApi': {'Service', 'Api'},
    'aws:waitForAwsResourceProperty': {'Service', 'Api', 'PropertySelector',
                                       'DesiredValues'},
    'aws:assertAwsResourceProperty': {'Service', 'Api', 'PropertySelector',
                                      'DesiredValues'},
    'aws:runCommand': {'DocumentName', 'InstanceIds'},
    'aws:executeScript': {'Runtime', 'Handler', 'InputPayload', 'Script'},
    'aws:branch': {'Choices', 'Default'},
    'aws:sleep': {'Duration'},
}
STEP_KEYS = {'name', 'action', 'inputs', 'outputs', 'timeoutSeconds', 'maxAttempts',
             'onFailure', 'onCancel', 'isCritical', 'isEnd', 'nextStep', 'description'}
PARAMETER_KEYS = {'type', 'description', 'default', 'allowedPattern', 'allowedValues'}
REFERENCE = re.compile(r'\{\{\s*([A-Za-z0-9_.:]+)\s*\}\}')
TYPES = {'String': str, 'StringList': list, 'Integer': int, 'Boolean': bool,
         'StringMap': dict, 'MapList': list}


class Broken(Exception):
    """The runbook is not one the service would take, or leans on what it leaves open."""


class StepFailed(Exception):
    pass


class StepTimedOut(StepFailed):
    pass


class Cancelled(Exception):
    pass


def check(book):
    """Raises Broken for what the service would refuse at CreateDocument, or worse, not."""
    if set(book) - {'schemaVersion', 'description', 'assumeRole', 'parameters', 'outputs',
                    'mainSteps'}:
        raise Broken('unknown key in the runbook')
    if book['schemaVersion'] != '0.3':
        raise Broken('schemaVersion')
    for name, parameter in book['parameters'].items():
        if not re.match('^[A-Za-z0-9]+$', name) or set(parameter) - PARAMETER_KEYS:
            raise Broken('parameter ' + name)
        pattern = parameter.get('allowedPattern', '')
        if 'allowedValues' not in parameter and not (
                pattern.startswith('^') and pattern.endswith('$')):
            raise Broken('the pattern of %s is not anchored' % name)
        if 'default' in parameter and pattern and not re.match(pattern,
                                                               parameter['default']):
            raise Broken('the default of ' + name)
    steps = {step['name']: step for step in book['mainSteps']}
    if len(steps) != len(book['mainSteps']):
        raise Broken('a step name comes twice')
    for step in book['mainSteps']:
        check_step(step, steps, book)


def check_step(step, steps, book):
    name = step['name']
    if set(step) - STEP_KEYS or step['action'] not in ACTIONS:
        raise Broken('step ' + name)
    if not re.match('^[a-zA-Z0-9_]{1,128}$', name):
        raise Broken('step name ' + name)
    if ACTIONS[step['action']] - set(step['inputs']):
        raise Broken('step %s lacks an input' % name)
    targets = [step.get('nextStep')]
    for key in ('onFailure', 'onCancel'):
        value = step.get(key, 'Abort')
        if value.startswith('step:'):
            targets.append(value[5:])
        elif value not in ('Abort', 'Continue'):
            raise Broken('%s of %s' % (key, name))
    if step['action'] == 'aws:branch':
        targets = [choice['NextStep'] for choice in step['inputs']['Choices']]
        targets.append(step['inputs']['Default'])
    for target in targets:
        if target is not None and target not in steps:
            raise Broken('step %s leads to %s' % (name, target))
    for reference in REFERENCE.findall(json.dumps(step['inputs'])):
        head, _, key = reference.partition('.')
        if key:
            outputs = {item['Name'] for item in steps.get(head, {}).get('outputs', [])}
            if key not in outputs:
                raise Broken('%s refers to %s' % (name, reference))
        elif not reference.startswith(('global:', 'automation:')) and \
                head not in book['parameters']:
            raise Broken('%s refers to %s' % (name, reference))


def select(value, path):
    """The JSONPath that the runbooks use: $.a[0].b and $.a..b. Raises LookupError."""
    if not path.startswith('$'):
        raise Broken('selector ' + path)
    head, deep, tail = path.partition('..')
    for key, index in re.findall(r'\.([A-Za-z0-9_]+)|\[([0-9]+)\]', head):
        value = value[key] if key else value[int(index)]
    if not deep:
        return value
    found = []

    def walk(item):
        if isinstance(item, dict):
            found.extend([item[tail]] if tail in item else [])
            for child in item.values():
                walk(child)
        elif isinstance(item, list):
            for child in item:
                walk(child)
    walk(value)
    return found


class Execution:
    """One run. After run(): status, steps (what happened, in order), outputs."""

    def __init__(self, book, cloud, parameters, cancel_in=None):
        check(book)
        self.book, self.cloud, self.cancel_in = book, cloud, cancel_in
        self.id = cloud.execution_id
        self.steps, self.values = [], {}
        self.bound = self.bind(parameters)
        cloud.execution = self

    def bind(self, given):
        bound = {}
        for name, parameter in self.book['parameters'].items():
            value = given.pop(name, parameter.get('default'))
            if value is None:
                raise Broken('parameter %s is missing' % name)
            if 'allowedPattern' in parameter and \
                    not re.search(parameter['allowedPattern'], value):
                raise Broken('parameter %s is refused' % name)
            if value not in parameter.get('allowedValues', [value]):
                raise Broken('parameter %s is refused' % name)
            bound[name] = value
        if given:
            raise Broken('unknown parameters: ' + ' '.join(given))
        return bound

    def lookup(self, reference):
        fixed = {'global:REGION': self.cloud.region, 'global:ACCOUNT_ID':
                 self.cloud.account, 'automation:EXECUTION_ID': self.id}
        for place in (fixed, self.bound, self.values):
            if reference in place:
                return place[reference]
        raise Broken('{{ %s }} has no value on this path' % reference)

    def resolve(self, value):
        if isinstance(value, dict):
            return {key: self.resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, str):
            return value
        whole = re.fullmatch(REFERENCE, value)
        if whole:
            return self.lookup(whole.group(1))
        return REFERENCE.sub(lambda match: str(self.lookup(match.group(1))), value)

    def run(self):
        by_name = {step['name']: step for step in self.book['mainSteps']}
        order = [step['name'] for step in self.book['mainSteps']]
        name, self.status = order[0], 'InProgress'
        for _ in range(200):
            name = self.run_step(by_name[name], order)
            if name is None:
                break
        else:
            raise Broken('the runbook does not end')
        if self.status == 'InProgress':
            self.status = 'Success'
        self.outputs = {key: self.values.get(key) for key in self.book.get('outputs', [])}
        return self

    def run_step(self, step, order):
        """Returns the name of the next step, or None at the end."""
        record = {'StepName': step['name'], 'StepStatus': 'InProgress', 'Outputs': {},
                  'FailureMessage': '', 'ExecutionStartTime': self.cloud.now}
        self.steps.append(record)
        try:
            following = self.attempt(step, record)
            record['StepStatus'] = 'Success'
        except Cancelled:
            record['StepStatus'] = 'Cancelled'
            target = step.get('onCancel', 'Abort')
            self.status = 'Cancelled'
            return target[5:] if target.startswith('step:') else None
        except StepFailed as problem:
            late = isinstance(problem, StepTimedOut)
            record['StepStatus'] = 'TimedOut' if late else 'Failed'
            record['FailureMessage'] = str(problem)
            target = step.get('onFailure', 'Abort')
            if step.get('isCritical', True) and self.status == 'InProgress':
                self.status = record['StepStatus']
            if target == 'Abort':
                return None
            if target.startswith('step:'):
                return target[5:]
            following = None
        if step.get('isEnd'):
            return None
        if following or step.get('nextStep'):
            return following or step['nextStep']
        index = order.index(step['name']) + 1
        return order[index] if index < len(order) else None

    def attempt(self, step, record):
        for attempt in range(step.get('maxAttempts', 1)):
            self.deadline = self.cloud.now + step.get('timeoutSeconds', 3600)
            try:
                if self.cancel_in == step['name']:
                    self.cancel_in = None
                    self.do(step, record, cancel=True)
                    raise Cancelled
                return self.do(step, record)
            except StepFailed as problem:
                failure = problem
            self.cloud.now += 5
        raise failure

    def do(self, step, record, cancel=False):
        inputs = step['inputs']
        if step['action'] != 'aws:branch':
            inputs = self.resolve({key: value for key, value in inputs.items()
                                   if key != 'Script'})
        action = step['action'].partition(':')[2]
        if cancel and action != 'runCommand':
            return None
        result = getattr(self, action)(inputs, step)
        if action == 'branch':
            return result
        for output in step.get('outputs', []):
            try:
                value = select(result, output['Selector'])
            except (LookupError, TypeError):
                raise StepFailed('%s is not in the answer' % output['Selector'])
            if not isinstance(value, TYPES[output['Type']]) or isinstance(value, bool):
                raise StepFailed('%s is no %s' % (output['Name'], output['Type']))
            self.values['%s.%s' % (step['name'], output['Name'])] = value
            record['Outputs'][output['Name']] = [str(value)]
        return None

    def call(self, inputs):
        arguments = {key: value for key, value in inputs.items() if key not in (
            'Service', 'Api', 'PropertySelector', 'DesiredValues')}
        try:
            return self.cloud.call(inputs['Service'], inputs['Api'], arguments)
        except self.cloud.Error as problem:
            raise StepFailed(str(problem))

    def executeAwsApi(self, inputs, step):
        return self.call(inputs)

    def assertAwsResourceProperty(self, inputs, step):
        value = select(self.call(inputs), inputs['PropertySelector'])
        if value not in inputs['DesiredValues']:
            raise StepFailed('%s is %s' % (inputs['PropertySelector'], value))

    def waitForAwsResourceProperty(self, inputs, step):
        while True:
            try:
                value = select(self.call(inputs), inputs['PropertySelector'])
            except (LookupError, TypeError):
                value = None
            except StepFailed as problem:
                if 'RequestLimitExceeded' not in str(problem):
                    raise
                value = None
            if value in inputs['DesiredValues']:
                return
            self.cloud.now += 10
            if self.cloud.now > self.deadline:
                raise StepTimedOut('%s is still %s' % (inputs['PropertySelector'], value))

    def runCommand(self, inputs, step):
        try:
            sent = self.cloud.call('ssm', 'SendCommand', inputs)
        except self.cloud.Error as problem:
            raise StepFailed(str(problem))
        command = sent['Command']['CommandId']
        while True:
            answer = self.cloud.invocation(command)
            if answer['Status'] not in ('Pending', 'InProgress'):
                break
            self.cloud.now += 10
            if self.cloud.now > self.deadline:
                raise StepTimedOut('the command is still running')
        if answer['Status'] != 'Success':
            raise StepFailed('the command ended as %s' % answer['Status'])

    def branch(self, inputs, step):
        for choice in inputs['Choices']:
            if self.resolve(choice['Variable']) == choice['StringEquals']:
                return choice['NextStep']
        return inputs['Default']

    def sleep(self, inputs, step):
        self.cloud.now += int(re.fullmatch('PT([0-9]+)S', inputs['Duration']).group(1))

    def executeScript(self, inputs, step):
        cloud, end = self.cloud, self.cloud.now + 600
        boto3 = types.ModuleType('boto3')
        boto3.client = lambda service, **_: Client(cloud, service)
        clock = types.ModuleType('time')
        clock.__dict__.update(time.__dict__)

        def sleep(seconds):
            cloud.now += seconds
            if cloud.now > end:
                raise StepTimedOut('the service ends a script after 600 s')
        clock.sleep = sleep
        kept = {name: sys.modules.get(name) for name in ('boto3', 'time')}
        sys.modules.update(boto3=boto3, time=clock)
        try:
            scope = {}
            exec(compile(step['inputs']['Script'], step['name'], 'exec'), scope)
            payload = json.loads(json.dumps(inputs['InputPayload']))
            result = scope[inputs['Handler']](payload, {})
            if len(json.dumps(result)) > 100000:
                raise StepFailed('the output of a script is too long')
            return {'Payload': result}
        except (StepFailed, Broken):
            raise
        except Exception as problem:
            raise StepFailed('%s: %s' % (type(problem).__name__, problem))
        finally:
            for name, module in kept.items():
                if module is None:
                    sys.modules.pop(name, None)
                else:
                    sys.modules[name] = module


class Client:
    """What boto3.client() gives a script: any operation of the cloud by its Python name."""

    def __init__(self, cloud, service):
        self.cloud, self.service = cloud, service

    def __getattr__(self, name):
        api = ''.join(word.capitalize() for word in name.split('_'))
        return lambda **arguments: self.cloud.call(self.service, api, arguments)
