# FVol-Acquire, an Automation runbook (schema 0.3): volume from the shared snapshot, mount,
# capture, triage, unmount, snapshot, anchors. generate.sh runs this with the hashes of the
# four Command documents and the scripts.
#
# The one law: once captureMemory was begun, deleteVolume is reached through the success of
# checkSnapshot only. tests/ssm-docs/graph.py proves it over every path, and the role's
# policy enforces it once more: it may delete volumes tagged fresh or kept, and captureMemory
# runs after markBegun has set the tag to begun.
#
# Every failure goes to a step of its own; none aborts, so that report speaks at the end.
include "book";

# Delivered within 10 minutes or not at all; by its comment gather finds the command.
def command($part; $hash; $parameters):
	{action: "aws:runCommand", inputs: ({
		DocumentName: "{{ DocumentPrefix }}\($part)",
		DocumentHash: $hash,
		DocumentHashType: "Sha256",
		InstanceIds: ["{{ InstanceId }}"],
		Comment: "FVol-\($part) {{ automation:EXECUTION_ID }}",
		TimeoutSeconds: 600
	} + (if $parameters == {} then {} else {Parameters: $parameters} end))};

def tags($state): [
	{Key: "Name", Value: "fvol {{ CaseId }} {{ InstanceId }}"},
	{Key: "fvol:execution", Value: "{{ automation:EXECUTION_ID }}"},
	{Key: "fvol:case", Value: "{{ CaseId }}"},
	{Key: "fvol:instance", Value: "{{ InstanceId }}"},
	{Key: "fvol:state", Value: $state}
];

def volume: {VolumeIds: ["{{ createVolume.VolumeId }}"]};
def snapshot: {SnapshotIds: ["{{ createSnapshot.SnapshotId }}"]};

{
	schemaVersion: "0.3",
	description: "Acquires the memory and the live state of an instance onto a forensic volume and keeps it as a snapshot. Ends as Success when the verdict is COMPLETE, else as Failed with PARTIAL or FAILED and the reason.",
	assumeRole: "{{ AutomationAssumeRole }}",
	parameters: {
		InstanceId: parameter("The instance whose memory is taken.";
			"^i-[0-9a-f]{8,17}$"),
		SnapshotId: parameter("The release snapshot, shared by the security account.";
			"^snap-[0-9a-f]{8,17}$"),
		CaseId: parameter("Case number: letters, digits, - and _.";
			"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"),
		SecurityAccountId: parameter("The account that owns release and evidence.";
			"^[0-9]{12}$"),
		KmsKeyId: parameter("ARN of the security account's evidence key.";
			"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{8,64}$"),
		EvidenceBucket: parameter("The security account's bucket with Object Lock.";
			"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"),
		AutomationAssumeRole: parameter("ARN of the role fvol-acquire of this account.";
			"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}$"),
		DocumentPrefix: (parameter(
			"What stands before Mount, Capture, Triage and Unmount: FVol-, or arn:aws:ssm:REGION:ACCOUNT:document/FVol- for shared documents.";
			"^(arn:aws[a-z-]*:ssm:[a-z0-9-]+:[0-9]{12}:document/)?[A-Za-z0-9_.-]{1,96}$")
			+ {default: "FVol-"}),
		RetentionDays: (parameter("Days of Object Lock and Snapshot Lock.";
			"^[1-9][0-9]{0,3}$") + {default: "365"}),
		ObjectLockMode: {
			type: "String",
			description: "Mode of Object Lock for the anchors.",
			default: "GOVERNANCE",
			allowedValues: ["GOVERNANCE", "COMPLIANCE"]
		},
		Triage: {
			type: "String",
			description: "The live state, after the memory: yes, redact (environment variables without their values) or no.",
			default: "yes",
			allowedValues: ["yes", "redact", "no"]
		},
		Throughput: (parameter("MiB/s of the gp3 volume, 125 to 1000.";
			"^(12[5-9]|1[3-9][0-9]|[2-9][0-9]{2}|1000)$") + {default: "1000"}),
		InitializationRate: (parameter(
			"MiB/s at which the volume is filled from the snapshot, 100 to 300.";
			"^([12][0-9]{2}|300)$") + {default: "300"})
	},
	outputs: [
		"report.Verdict", "report.Reason", "report.SnapshotId", "report.ImageSha256",
		"report.CustodyHead", "report.Triage", "report.Anchor", "report.VolumesLeft"
	],
	mainSteps: [
		# Looks: nothing has been made yet.
		step("describeInstance"; 120; 3; "describeType"; "report";
			api("ec2"; "DescribeInstances"; {InstanceIds: ["{{ InstanceId }}"]}; [
				output("Zone";
					"$.Reservations[0].Instances[0].Placement.AvailabilityZone";
					"String"),
				output("Type"; "$.Reservations[0].Instances[0].InstanceType";
					"String"),
				output("State"; "$.Reservations[0].Instances[0].State.Name";
					"String"),
				output("Devices";
					"$.Reservations[0].Instances[0].BlockDeviceMappings..DeviceName";
					"StringList")
			])),
		step("describeType"; 120; 3; "describeRelease"; "report";
			api("ec2"; "DescribeInstanceTypes";
				{InstanceTypes: ["{{ describeInstance.Type }}"]}; [
				output("MemoryMiB"; "$.InstanceTypes[0].MemoryInfo.SizeInMiB";
					"Integer")
			])),
		# A snapshot of the same id that somebody else shares does not answer.
		step("describeRelease"; 120; 3; "describeAgent"; "report";
			api("ec2"; "DescribeSnapshots"; {
				SnapshotIds: ["{{ SnapshotId }}"],
				OwnerIds: ["{{ SecurityAccountId }}"]
			}; [
				output("State"; "$.Snapshots[0].State"; "String"),
				output("ImageGiB"; "$.Snapshots[0].VolumeSize"; "Integer")
			])),
		step("describeAgent"; 120; 3; "plan"; "report";
			api("ssm"; "DescribeInstanceInformation"; {
				Filters: [{Key: "InstanceIds", Values: ["{{ InstanceId }}"]}]
			}; [
				output("Ping"; "$.InstanceInformationList[0].PingStatus"; "String"),
				output("Platform"; "$.InstanceInformationList[0].PlatformType";
					"String")
			])),
		step("plan"; 60; 2; "createVolume"; "report"; script("plan"; $plan; {
			State: "{{ describeInstance.State }}",
			Devices: "{{ describeInstance.Devices }}",
			MemoryMiB: "{{ describeType.MemoryMiB }}",
			SnapshotState: "{{ describeRelease.State }}",
			ImageGiB: "{{ describeRelease.ImageGiB }}",
			Ping: "{{ describeAgent.Ping }}",
			Platform: "{{ describeAgent.Platform }}",
			Throughput: "{{ Throughput }}",
			InitializationRate: "{{ InitializationRate }}",
			RetentionDays: "{{ RetentionDays }}",
			Account: "{{ global:ACCOUNT_ID }}",
			SecurityAccount: "{{ SecurityAccountId }}",
			Triage: "{{ Triage }}"
		}; [["SizeGiB", "Integer"], ["Throughput", "Integer"], ["Iops", "Integer"],
			["InitializationRate", "Integer"], ["RetentionDays", "Integer"],
			["Device", "String"], ["Share", "String"], ["Redact", "String"]])),

		# Makes: what fails from here on is taken back by discard. The volume has the
		# security account's key from its first byte, so nothing is encrypted twice.
		# With the client token a repeated call gives the same volume.
		(step("createVolume"; 120; 3; "waitVolume"; "discard";
			api("ec2"; "CreateVolume"; {
				AvailabilityZone: "{{ describeInstance.Zone }}",
				SnapshotId: "{{ SnapshotId }}",
				Size: "{{ plan.SizeGiB }}",
				VolumeType: "gp3",
				Iops: "{{ plan.Iops }}",
				Throughput: "{{ plan.Throughput }}",
				VolumeInitializationRate: "{{ plan.InitializationRate }}",
				Encrypted: true,
				KmsKeyId: "{{ KmsKeyId }}",
				ClientToken: "{{ automation:EXECUTION_ID }}",
				TagSpecifications: [{ResourceType: "volume", Tags: tags("fresh")}]
			}; [output("VolumeId"; "$.VolumeId"; "String")]))
			+ {onCancel: "step:discard"}),
		# A key that may not be used shows here: the volume goes into error, or away.
		(step("waitVolume"; 900; 1; "attachVolume"; "discard";
			wait_for("ec2"; "DescribeVolumes"; volume; "$.Volumes[0].State";
				["available"])) + {onCancel: "step:discard"}),
		(step("attachVolume"; 120; 3; "waitAttached"; "discard";
			api("ec2"; "AttachVolume"; {
				VolumeId: "{{ createVolume.VolumeId }}",
				InstanceId: "{{ InstanceId }}",
				Device: "{{ plan.Device }}"
			}; [])) + {onCancel: "step:discard"}),
		(step("waitAttached"; 600; 1; "mountVolume"; "discard";
			wait_for("ec2"; "DescribeVolumes"; volume;
				"$.Volumes[0].Attachments[0].State"; ["attached"]))
			+ {onCancel: "step:discard"}),
		(step("mountVolume"; 1800; 1; "markBegun"; "unmountEarly";
			command("Mount"; $mount_hash; {
				VolumeId: ["{{ createVolume.VolumeId }}"],
				DeviceName: ["{{ plan.Device }}"]
			}))
			+ {onCancel: "step:unmountEarly"}),
		(step("markBegun"; 120; 3; "captureMemory"; "unmountEarly";
			api("ec2"; "CreateTags"; {
				Resources: ["{{ createVolume.VolumeId }}"],
				Tags: [{Key: "fvol:state", Value: "begun"}]
			}; [])) + {onCancel: "step:unmountEarly"}),

		# From here on the volume may hold evidence, however the step ends.
		(step("captureMemory"; 174600; 1; "chooseTriage"; "chooseTriage";
			command("Capture"; $capture_hash; {})) + {onCancel: "step:unmountVolume"}),
		# Memory first: what triage reads displaces some of it. However it ends, the way
		# to the snapshot goes on; what it said is gathered with the rest.
		{
			name: "chooseTriage",
			action: "aws:branch",
			inputs: {
				Choices: [{
					Variable: "{{ Triage }}",
					StringEquals: "no",
					NextStep: "unmountVolume"
				}],
				Default: "collectLiveState"
			}
		},
		(step("collectLiveState"; 3000; 1; "unmountVolume"; "unmountVolume";
			command("Triage"; $triage_hash; {Redact: ["{{ plan.Redact }}"]}))
			+ {onCancel: "step:unmountVolume"}),
		# A volume that is still mounted is not detached: its snapshot is made as it is.
		# Unmounted, but not all was sealed, is exit 3, a failed step all the same.
		(step("unmountVolume"; 5400; 1; "detachVolume"; "askUnmount";
			command("Unmount"; $unmount_hash; {})) + {onCancel: "step:createSnapshot"}),
		step("askUnmount"; 120; 3; "chooseDetach"; "createSnapshot";
			script("ask"; $gather; {
				InstanceId: "{{ InstanceId }}",
				Execution: "{{ automation:EXECUTION_ID }}"
			}; [["Detach", "String"]])),
		{
			name: "chooseDetach",
			action: "aws:branch",
			inputs: {
				Choices: [{
					Variable: "{{ askUnmount.Detach }}",
					StringEquals: "yes",
					NextStep: "detachVolume"
				}],
				Default: "createSnapshot"
			}
		},
		(step("detachVolume"; 120; 3; "waitDetached"; "createSnapshot";
			api("ec2"; "DetachVolume"; {
				VolumeId: "{{ createVolume.VolumeId }}",
				InstanceId: "{{ InstanceId }}"
			}; [])) + {onCancel: "step:createSnapshot"}),
		(step("waitDetached"; 900; 1; "createSnapshot"; "createSnapshot";
			wait_for("ec2"; "DescribeVolumes"; volume; "$.Volumes[0].State";
				["available"])) + {onCancel: "step:createSnapshot"}),
		step("createSnapshot"; 120; 5; "waitSnapshot"; "report";
			api("ec2"; "CreateSnapshot"; {
				VolumeId: "{{ createVolume.VolumeId }}",
				Description: "fvol evidence {{ CaseId }} {{ InstanceId }}",
				TagSpecifications: [{ResourceType: "snapshot",
					Tags: tags("begun")}]
			}; [output("SnapshotId"; "$.SnapshotId"; "String")])),
		step("waitSnapshot"; 172800; 1; "checkSnapshot"; "report";
			wait_for("ec2"; "DescribeSnapshots"; snapshot; "$.Snapshots[0].State";
				["completed", "error"])),
		step("checkSnapshot"; 120; 3; "gather"; "report"; {
			action: "aws:assertAwsResourceProperty",
			inputs: ({Service: "ec2", Api: "DescribeSnapshots"} + snapshot + {
				PropertySelector: "$.Snapshots[0].State",
				DesiredValues: ["completed"]
			})
		}),

		# The evidence is safe. Whatever fails now is named, and the next step goes on.
		step("gather"; 300; 3; "tagSnapshot"; "lockSnapshot"; script("gather"; $gather; {
			InstanceId: "{{ InstanceId }}",
			Execution: "{{ automation:EXECUTION_ID }}",
			MemoryMiB: "{{ describeType.MemoryMiB }}",
			Triage: "{{ Triage }}"
		}; [["Verdict", "String"], ["Reason", "String"], ["ImageSha256", "String"],
			["CustodyHead", "String"], ["Image", "String"], ["CaptureExit", "String"],
			["Triage", "String"], ["Record", "String"]])),
		step("tagSnapshot"; 120; 3; "anchor"; "anchor"; api("ec2"; "CreateTags"; {
			Resources: ["{{ createSnapshot.SnapshotId }}"],
			Tags: [
				{Key: "fvol:memory-sha256", Value: "{{ gather.ImageSha256 }}"},
				{Key: "fvol:custody-head", Value: "{{ gather.CustodyHead }}"},
				{Key: "fvol:verdict", Value: "{{ gather.Verdict }}"},
				{Key: "fvol:state", Value: "kept"}
			]
		}; [])),
		# Before the snapshot is shared: sharing starts the intake, which reads it.
		step("anchor"; 300; 3; "lockSnapshot"; "lockSnapshot"; script("anchor"; $anchor; {
			Case: "{{ CaseId }}",
			Account: "{{ global:ACCOUNT_ID }}",
			Region: "{{ global:REGION }}",
			InstanceId: "{{ InstanceId }}",
			Execution: "{{ automation:EXECUTION_ID }}",
			VolumeId: "{{ createVolume.VolumeId }}",
			SnapshotId: "{{ createSnapshot.SnapshotId }}",
			ReleaseSnapshotId: "{{ SnapshotId }}",
			Verdict: "{{ gather.Verdict }}",
			Reason: "{{ gather.Reason }}",
			Image: "{{ gather.Image }}",
			ImageSha256: "{{ gather.ImageSha256 }}",
			CustodyHead: "{{ gather.CustodyHead }}",
			Triage: "{{ gather.Triage }}",
			Record: "{{ gather.Record }}",
			Bucket: "{{ EvidenceBucket }}",
			Owner: "{{ SecurityAccountId }}",
			LockMode: "{{ ObjectLockMode }}",
			RetentionDays: "{{ plan.RetentionDays }}"
		}; [["Key", "String"], ["ObjectVersion", "String"]])),
		# Governance: the copy in the security account is the one that is locked hard.
		step("lockSnapshot"; 120; 3; "chooseShare"; "chooseShare";
			api("ec2"; "LockSnapshot"; {
				SnapshotId: "{{ createSnapshot.SnapshotId }}",
				LockMode: "governance",
				LockDuration: "{{ plan.RetentionDays }}"
			}; [])),
		{
			name: "chooseShare",
			action: "aws:branch",
			inputs: {
				Choices: [{
					Variable: "{{ plan.Share }}",
					StringEquals: "no",
					NextStep: "markKept"
				}],
				Default: "shareSnapshot"
			}
		},
		step("shareSnapshot"; 120; 3; "markKept"; "markKept";
			api("ec2"; "ModifySnapshotAttribute"; {
				SnapshotId: "{{ createSnapshot.SnapshotId }}",
				Attribute: "createVolumePermission",
				OperationType: "add",
				UserIds: ["{{ SecurityAccountId }}"]
			}; [])),
		step("markKept"; 120; 3; "deleteVolume"; "report"; api("ec2"; "CreateTags"; {
			Resources: ["{{ createVolume.VolumeId }}"],
			Tags: [{Key: "fvol:state", Value: "kept"}]
		}; [])),
		# Refused by AWS for as long as the volume is attached.
		step("deleteVolume"; 120; 3; "report"; "report";
			api("ec2"; "DeleteVolume"; {VolumeId: "{{ createVolume.VolumeId }}"}; [])),

		# Before a capture.
		(step("unmountEarly"; 5400; 1; "discard"; "discard";
			command("Unmount"; $unmount_hash; {})) + {onCancel: "step:discard"}),
		step("discard"; 600; 2; "report"; "report"; script("discard"; $discard; {
			Execution: "{{ automation:EXECUTION_ID }}"
		}; [["Left", "String"]])),

		# The end of every path.
		({name: "report"} + script("report"; $report; {
			Execution: "{{ automation:EXECUTION_ID }}"
		}; [["Verdict", "String"], ["Reason", "String"], ["SnapshotId", "String"],
			["ImageSha256", "String"], ["CustodyHead", "String"], ["Triage", "String"],
			["Anchor", "String"], ["VolumesLeft", "String"]])
			+ {timeoutSeconds: 300, maxAttempts: 3, onFailure: "Abort",
				nextStep: "end"}),
		({name: "end"} + script("end"; $report; {
			Verdict: "{{ report.Verdict }}",
			Reason: "{{ report.Reason }}"
		}; []) + {timeoutSeconds: 60, maxAttempts: 1, onFailure: "Abort", isEnd: true})
	]
}
