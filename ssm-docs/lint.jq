# The rules of lint.sh for one Command document. Each complaint is a line "RULE: message".
# Why each rule is there is told beside it; the agent meant is the one of AWS, 3.x.

def complain($rule; $message): "\($rule): \($message)";

def known($rule; $where; $keys):
	(keys_unsorted - $keys)[] | complain($rule; "unknown key \(.) in \($where)");

def strings_of: [.. | strings];

# The names between double braces in any of the strings.
def references: [strings_of[] | scan("\\{\\{\\s*([^{}]*?)\\s*\\}\\}")[0]] | unique;

# The text of a step without comments; $quotes keeps quoted text, or replaces it by Q.
# Newlines stay, so that line numbers do. Here-documents are taken for code, and so is
# what is quoted within a quoted command substitution: a complaint too many is possible.
def code($quotes):
	[scan("'[^']*'|\"(?:\\\\[\\s\\S]|[^\"\\\\])*\"|\\\\[\\s\\S]"
			+ "|(?<![^\\s;(])#[^\\n]*|[^'\"\\\\#]+|[\\s\\S]")
		| if startswith("'") or startswith("\"") then
			(if $quotes then . else "Q" + ([scan("\n")] | add // "") end)
		elif . == "\\\n" then " "
		elif startswith("\\") then "E"
		elif startswith("#") and length > 1 then ""
		else . end]
	| add // "" | split("\n");

# rule doc-keys: an unknown key is dropped without a word.
def doc_keys:
	known("doc-keys"; "the document";
		["schemaVersion", "description", "parameters", "mainSteps"]);

# rule doc-schema: only 2.2 has steps with names and preconditions.
def doc_schema:
	if .schemaVersion != "2.2"
	then complain("doc-schema"; "schemaVersion is not \"2.2\"") else empty end,
	if (.mainSteps | type) != "array" or (.mainSteps | length) == 0
	then complain("doc-schema"; "mainSteps is not a list of steps") else empty end,
	if has("parameters") and (.parameters | type) != "object"
	then complain("doc-schema"; "parameters is not an object") else empty end;

# rule secret: the agent writes the step and its parameters in clear to the host's disk.
def secret:
	(.parameters | keys_unsorted[]
		| select(test(
			"secret|passw|token|credential|(access|private|api)_?key"; "i"))
		| complain("secret"; "parameter \(.) looks like a secret")),
	(strings_of[]
		| select(test("\\b(AKIA|ASIA)[0-9A-Z]{16}\\b|BEGIN [A-Z ]*PRIVATE KEY"))
		| complain("secret"; "a key stands in the document"));

# rule param-name: a value for a name with an underscore is dropped without a word.
def param_name:
	.parameters | keys_unsorted[] | select(test("\\A[a-zA-Z0-9]+\\z") | not)
	| complain("param-name"; "parameter \(.) has characters other than a-z A-Z 0-9");

# rule param-type: Command documents take these two only.
def param_type:
	.parameters | to_entries[] 
	| select(.value.type | IN("String", "StringList") | not)
	| complain("param-type"; "parameter \(.key) is neither String nor StringList");

# rule param-keys: an unknown key is dropped without a word.
def param_keys:
	.parameters | to_entries[] | .key as $name | .value
	| known("param-keys"; "parameter \($name)"; ["type", "description", "default",
		"allowedPattern", "allowedValues", "minItems", "maxItems", "minChars",
		"maxChars", "displayType", "interpolationType"]);

# What is left of a pattern when escapes, classes and groups are taken out.
def top_level:
	gsub("\\\\."; "") | gsub("\\[\\^?\\]?[^\\]]*\\]"; "")
	| until(test("\\([^()]*\\)") | not; gsub("\\([^()]*\\)"; ""));

# rule param-anchored: the agent's match is not anchored: with [a-z]+ an injected command
# runs. ^a|b$ is not anchored either, and (?m) lets a second line follow.
def param_anchored:
	.parameters | to_entries[]
	| (.value.allowedPattern // "") as $p
	| select(($p | type) != "string"
		or ($p | test("\\A\\^[\\s\\S]*(?<!\\\\)(\\\\\\\\)*\\$\\z") | not)
		or ($p | test("\\(\\?[^:]"))
		or ($p | top_level | contains("|")))
	| complain("param-anchored"; "the pattern of \(.key) is not of the form ^...$");

# rule param-safe: substitution is textual, so no character that means something to the
# shell may get through the pattern: no dot, no negated class, no range across kinds.
def param_safe:
	.parameters | to_entries[]
	| select((.value.allowedPattern | type) == "string")
	| select(.value.allowedPattern | test(
		"\\A\\^?(?:[A-Za-z0-9_:/@,=%-]|\\\\[dw./:@,=+-]"
		+ "|\\[-?(?:[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]"
		+ "|[A-Za-z0-9_.:/@,=+%]|\\\\[dw./-])*-?\\]"
		+ "|\\{[0-9]+(?:,[0-9]*)?\\}|\\(\\?[:a-z]+\\)?|[()|?*+])*\\$?\\z") | not)
	| complain("param-safe"; "the pattern of \(.key) lets through shell syntax");

# rule param-default: a default that the pattern refuses makes the document useless.
def param_default:
	.parameters | to_entries[]
	| select((.value.allowedPattern | type) == "string" and (.value | has("default")))
	| .value.allowedPattern as $p
	| select([.value.default | if type == "array" then .[] else . end
		| (type == "string") and (try test($p) catch false)] | all | not)
	| complain("param-default"; "the default of \(.key) does not match its pattern");

def fallback($name):
	"if [ -z \"${SSM_\($name)+x}\" ]; then export SSM_\($name)=\"{{\($name)}}\"; fi";

# rule param-interpolation: older agents do not know ENV_VAR and leave the variable unset;
# the documented fallback must be there.
def param_interpolation:
	.mainSteps as $steps | .parameters | to_entries[]
	| select(.value | has("interpolationType"))
	| .key as $name
	| select(.value.interpolationType != "ENV_VAR"
		or ([$steps[].inputs?.runCommand? | arrays | .[]]
			| index(fallback($name)) == null))
	| complain("param-interpolation"; "\($name) lacks the line for older agents");

# rule param-undeclared: what is not declared stays in the script as it is.
def param_undeclared:
	(.parameters | keys_unsorted) as $declared
	| ((.mainSteps | references) - $declared)[]
	| complain("param-undeclared"; "{{\(.)}} is not declared");

# rule braces: doubled braces that are no reference are left to the agent's mood.
def braces:
	.mainSteps | strings_of[]
	| select(gsub("\\{\\{\\s*[A-Za-z0-9_:.]+\\s*\\}\\}"; "") | test("\\{\\{|\\}\\}"))
	| complain("braces"; "stray double braces in: \(.[0:60])");

# rule param-unused: a parameter without effect lets the caller believe in one.
def param_unused:
	(.mainSteps | references) as $used
	| ((.parameters | keys_unsorted) - $used)[]
	| complain("param-unused"; "parameter \(.) is not used");

# rule param-quoted: the text lands in a script, so it stands alone in single quotes.
def param_quoted:
	(.parameters | keys_unsorted) as $names
	| .mainSteps[].inputs.runCommand[]
	| . as $line
	| select(any($names[]; fallback(.) == $line) | not)
	| select(gsub("'\\{\\{\\s*[A-Za-z0-9_]+\\s*\\}\\}'"; "")
		| test("\\{\\{\\s*[A-Za-z0-9_]+\\s*\\}\\}"))
	| complain("param-quoted"; "not alone in single quotes: \(.[0:60])");

# rule dollars: the agent makes one dollar of two.
def dollars:
	strings_of[] | select(contains("$$"))
	| complain("dollars"; "two dollars in a row in: \(.[0:60])");

# rule step-keys: an unknown key is dropped without a word.
def step_keys:
	.mainSteps[]
	| known("step-keys"; "a step"; ["action", "name", "inputs", "precondition"]),
	(.inputs | known("step-keys"; "inputs"; ["runCommand", "timeoutSeconds",
		"workingDirectory", "onFailure", "onSuccess", "finallyStep"]));

# rule step-action: the scripts are shell scripts.
def step_action:
	.mainSteps[] | select(.action != "aws:runShellScript")
	| complain("step-action"; "action is not aws:runShellScript");

# rule step-name: steps are told apart, and their directories named, by it.
def step_name:
	(.mainSteps | map(.name)) as $names
	| ($names[]
		| select((type == "string" and test("\\A[a-zA-Z0-9_-]{3,64}\\z")) | not)
		| complain("step-name"; "a step has no plain name of 3 to 64")),
	($names | group_by(.)[] | select(length > 1)
		| complain("step-name"; "two steps are called \(.[0])"));

# rule step-timeout: out of range, or absent, it silently becomes 3600 seconds.
def step_timeout:
	.mainSteps[] | .inputs.timeoutSeconds as $t
	| select(($t | (type == "number" and . == floor)
			or (type == "string" and test("\\A[0-9]{1,9}\\z")))
		and (($t | tonumber) >= 5 and ($t | tonumber) <= 172800) | not)
	| complain("step-timeout"; "timeoutSeconds of \(.name) is not in 5..172800");

# rule step-flow: the only values the agent acts on; a final step is the last one.
def step_flow:
	(.mainSteps | length) as $n
	| .mainSteps | to_entries[] | .key as $i | .value.inputs
	| (to_entries[]
		| select((.key | IN("onFailure", "onSuccess")) and .value != "exit")
		| complain("step-flow"; "\(.key) is not exit")),
	(select(has("finallyStep"))
		| select(.finallyStep != true or $i != $n - 1)
		| complain("step-flow"; "finallyStep is not true or not the last"));

# rule step-precondition: StringEquals is all there is, and the scripts are for Linux.
def step_precondition:
	.mainSteps[]
	| select((.precondition | type) != "object"
		or (.precondition | keys) != ["StringEquals"]
		or ((.precondition.StringEquals | arrays | sort) // [])
			!= ["Linux", "platformType"])
	| complain("step-precondition"; "\(.name) is not for Linux by StringEquals");

# rule step-command: one list of lines, which the agent joins into one script.
def step_command:
	.mainSteps[] | .inputs.runCommand as $c
	| select(($c | type) != "array" or ($c | length) == 0
		or any($c[]; type != "string" or contains("\n")))
	| complain("step-command"; "runCommand of \(.name) is not a list of lines");

# rule shebang: without one the agent's shell is used, whatever it is.
def shebang:
	.mainSteps[] | select(.inputs.runCommand[0] != "#!/bin/sh")
	| complain("shebang"; "\(.name) does not begin with #!/bin/sh");

# rule exit-code: 194 restarts the instance and runs the step again, 168 and 169 end the
# run as success and failure, and from 126 on the shell and signals have their say. In
# quotes too: that is where traps are.
def exit_code:
	.mainSteps[] | .inputs.runCommand | join("\n") | code(true)[]
	| scan("(?<![A-Za-z0-9_$-])exit\\s+[\"']?(-?[0-9]+)")[0]
	| select(tonumber < 0 or tonumber >= 126)
	| complain("exit-code"; "exit \(.)");

# rule errexit: only the code of the last command counts, so a failure of any other must
# end the script.
def errexit:
	.mainSteps[]
	| (.inputs.runCommand | join("\n")
		| code(false) | map(select(test("\\S")))) as $code
	| select(($code | length) > 1)
	| select((any($code[]; test("^\\s*set\\s+(-[a-z]*e[a-z]*|-o\\s+errexit)(\\s|$)"))
		and (any($code[]; test("^\\s*set\\s.*\\+([a-z]*e|o\\s+errexit)")) | not))
		| not)
	| complain("errexit"; "\(.name) has several commands, not all under set -e");

# rule last-command: the last command decides; one that always succeeds hides a failure.
def last_command:
	.mainSteps[]
	| select(.inputs.runCommand | join("\n") | code(false) | map(select(test("\\S")))
		| (last // "")
		| test("(^|[;&|])\\s*(exit\\s+0|exit|true|:)\\s*;?\\s*$"))
	| complain("last-command"; "the last command of \(.name) always succeeds");

# rule background: a child that keeps stdout open blocks the step until it ends.
def background:
	.mainSteps[] | .inputs.runCommand | join("\n") | code(false)[]
	| gsub("\\$\\(\\([^\\n]*?\\)\\)"; "A") # there & is arithmetic
	| select(test("(?<![&<>|])&(?![&>])"))
	| select((test("(^|[^<0-9])0?<") and test("(^|[^0-9&<>])1?>")
		and test("2>")) | not)
	| complain("background"; "without its three descriptors redirected: \(.[0:60])");

(.parameters? // {}) as $parameters
| [doc_keys, doc_schema] as $shape
| if any($shape[]; startswith("doc-schema")) then $shape[]
elif any(.mainSteps[]; type != "object" or (.inputs | type) != "object")
	or any($parameters[]; type != "object")
then
	$shape[],
	complain("doc-schema"; "a step, its inputs or a parameter is not an object")
else
	.parameters = $parameters
	| ([step_command] as $commands
	| $shape[], secret, param_name, param_type, param_keys, param_anchored,
	param_safe, param_default, param_interpolation, param_undeclared, param_unused,
	braces, dollars,
	step_keys, step_action, step_name, step_timeout, step_flow, step_precondition,
	$commands[],
	(if ($commands | length) > 0 then empty
	else param_quoted, shebang, exit_code, errexit, last_command, background end))
end
