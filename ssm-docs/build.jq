# FVol-BuildModule, an Automation runbook: the kernel module for the kernel of a machine
# image, built on a machine made from that image where its packages are reachable, and taken
# back on every path. Never on an instance under investigation.
include "book";

{
	schemaVersion: "0.3",
	description: "Builds the kernel module for the kernel of a machine image on a machine of its own and puts it into a bucket.",
	assumeRole: "{{ AutomationAssumeRole }}",
	parameters: {
		ImageId: parameter("The machine image of the instances."; "^ami-[0-9a-f]{8,17}$"),
		InstanceType: (parameter("Of the image's architecture.";
			"^[a-z0-9-]{2,16}\\.[a-z0-9-]{2,16}$") + {default: "t3.medium"}),
		SubnetId: parameter("A subnet that reaches the packages, SSM and S3.";
			"^subnet-[0-9a-f]{8,17}$"),
		InstanceProfile: (parameter("Name of the builder's instance profile.";
			"^[A-Za-z0-9+=,.@_-]{1,128}$") + {default: "fvol-builder"}),
		Source: parameter("s3://BUCKET/PREFIX with kmods, build-module.sh, lime/ and SHA256SUMS.";
			"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9/_.-]{1,200}$"),
		SourceSha256: parameter("SHA-256 of SHA256SUMS, which lists all of Source.";
			"^[0-9a-f]{64}$"),
		Destination: parameter("s3://BUCKET/PREFIX that receives ARCH/RELEASE/.";
			"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9/_.-]{1,200}$"),
		LimeVersion: (parameter("The version of lime/."; "^[0-9]+(\\.[0-9]+){1,3}$")
			+ {default: "1.12.0"}),
		DocumentPrefix: (parameter("What stands before BuildStep.";
			"^(arn:aws[a-z-]*:ssm:[a-z0-9-]+:[0-9]{12}:document/)?[A-Za-z0-9_.-]{1,96}$")
			+ {default: "FVol-"}),
		AutomationAssumeRole: parameter("ARN of the role fvol-build.";
			"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}$")
	},
	outputs: ["start.InstanceId"],
	mainSteps: [
		(step("start"; 120; 3; "waitOnline"; "takeBack"; api("ec2"; "RunInstances"; {
			ImageId: "{{ ImageId }}",
			InstanceType: "{{ InstanceType }}",
			SubnetId: "{{ SubnetId }}",
			MinCount: 1,
			MaxCount: 1,
			IamInstanceProfile: {Name: "{{ InstanceProfile }}"},
			MetadataOptions: {HttpTokens: "required"},
			InstanceInitiatedShutdownBehavior: "terminate",
			ClientToken: "{{ automation:EXECUTION_ID }}",
			TagSpecifications: [{ResourceType: "instance", Tags: [
				{Key: "Name", Value: "fvol builder"},
				{Key: "fvol:builder", Value: "yes"},
				{Key: "fvol:execution", Value: "{{ automation:EXECUTION_ID }}"}
			]}]
		}; [output("InstanceId"; "$.Instances[0].InstanceId"; "String")]))
			+ {onCancel: "step:takeBack"}),
		(step("waitOnline"; 900; 1; "build"; "takeBack"; wait_for("ssm";
			"DescribeInstanceInformation";
			{Filters: [{Key: "InstanceIds", Values: ["{{ start.InstanceId }}"]}]};
			"$.InstanceInformationList[0].PingStatus"; ["Online"]))
			+ {onCancel: "step:takeBack"}),
		(step("build"; 5400; 1; "takeBackBuilt"; "takeBack"; {
			action: "aws:runCommand",
			inputs: {
				DocumentName: "{{ DocumentPrefix }}BuildStep",
				DocumentHash: $build_hash,
				DocumentHashType: "Sha256",
				InstanceIds: ["{{ start.InstanceId }}"],
				Comment: "FVol-BuildStep {{ automation:EXECUTION_ID }}",
				TimeoutSeconds: 600,
				Parameters: {
					Source: ["{{ Source }}"],
					SourceSha256: ["{{ SourceSha256 }}"],
					Destination: ["{{ Destination }}"],
					LimeVersion: ["{{ LimeVersion }}"]
				}
			}
		}) + {onCancel: "step:takeBack"}),
		(step("takeBackBuilt"; 300; 3; null; null; script("back"; $back; {
			Execution: "{{ automation:EXECUTION_ID }}"
		}; [["Count", "Integer"]])) + {isEnd: true}),
		step("takeBack"; 300; 3; "notBuilt"; "notBuilt"; script("back"; $back; {
			Execution: "{{ automation:EXECUTION_ID }}"
		}; [["Count", "Integer"]])),
		(step("notBuilt"; 60; 1; null; null; script("failed"; $back; {Failed: "yes"}; []))
			+ {isEnd: true})
	]
}
