# What the runbooks are written in: Automation's steps, said shortly.

def parameter($description; $pattern):
	{type: "String", description: $description, allowedPattern: $pattern};

# $next: the step after success; $failed: the step after failure or a timeout, which then is
# no failure of the execution. Null: none, and the execution fails.
def step($name; $timeout; $attempts; $next; $failed; $body):
	{name: $name} + $body + {timeoutSeconds: $timeout, maxAttempts: $attempts}
	+ (if $failed then {onFailure: "step:\($failed)", isCritical: false} else {} end)
	+ (if $next then {nextStep: $next} else {} end);

def output($name; $selector; $type): {Name: $name, Selector: $selector, Type: $type};

def api($service; $call; $inputs; $outputs):
	{action: "aws:executeAwsApi", inputs: ({Service: $service, Api: $call} + $inputs)}
	+ (if $outputs == [] then {} else {outputs: $outputs} end);

def wait_for($service; $call; $inputs; $selector; $values):
	{action: "aws:waitForAwsResourceProperty",
		inputs: ({Service: $service, Api: $call} + $inputs
			+ {PropertySelector: $selector, DesiredValues: $values})};

def script($handler; $text; $payload; $outputs):
	{action: "aws:executeScript", inputs: {Runtime: "python3.11", Handler: $handler,
		InputPayload: $payload, Script: $text}}
	+ (if $outputs == [] then {} else {outputs: [$outputs[]
		| output(.[0]; "$.Payload.\(.[0])"; .[1])]} end);
