# Writes docs/permissions.md from the templates, one section a policy:
#   jq -rn -f cloudformation/permissions.jq --slurpfile security \
#       cloudformation/security-account.json --slurpfile member \
#       cloudformation/member-account.json --slurpfile analyst \
#       cloudformation/analyst-account.json > docs/permissions.md
# The suite "documents" fails when the page is not what this writes.

def list: if type == "array" then . else [.] end;

# The policy statements of a resource, in the order of the template.
def statements:
	.Properties
	| [.KeyPolicy?, .PolicyDocument?, .AssumeRolePolicyDocument?, .Policies[]?.PolicyDocument]
	| map(select(. != null) | .Statement[]);

def resource:
	if type == "array" then map(resource) | join(", ")
	elif type == "string" then .
	elif has("Ref") then .Ref
	elif has("Fn::Sub") then .["Fn::Sub"] | gsub("arn:\\$\\{AWS::Partition\\}:"; "")
		| gsub("\\$\\{!?(AWS::|aws:)?(?<name>[A-Za-z]+)\\}"; "<\(.name)>")
	elif has("Fn::GetAtt") then .["Fn::GetAtt"][0]
	else tojson end;

def condition:
	(.Condition // {}) | to_entries
	| map(.key as $test | .value | to_entries[]
		| "\(.key) \($test) \(.value | list | map(resource) | join(" or "))")
	| join("; ");

def row($why):
	"| \(.Sid) | \(if .Effect == "Deny" then "**denied**: " else "" end)"
	+ "\(.Action | list | map("`\(.)`") | join(", ")) | "
	+ "\(if .Resource then "`\(.Resource | resource)`" else "" end) | "
	+ "\(condition | if . == "" then "" else "`\(.)`" end) | \($why[.Sid]) |";

def section($template):
	$template.Resources | to_entries[]
	| .key as $name | .value as $it
	| ($it | statements) as $statements
	| select($statements != [])
	| "### \($name)", "",
		($it.Properties | .Description // empty | "\(.)", ""),
		"| Statement | Actions | On | Only when | Why |",
		"|---|---|---|---|---|",
		($statements[] | row($it.Metadata.Why // {})), "";

"# Permissions",
"",
"Made from the templates in `cloudformation/` by `permissions.jq` beside them; do not edit.",
"Where a resource is a star, or ends in one, the last column says why.",
"",
"## Security account",
"",
section($security[0]),
"## Member account",
"",
section($member[0]),
"## Analysts' account",
"",
"Where analysts do not work in the security account.",
"",
section($analyst[0])
