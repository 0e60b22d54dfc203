# FVol-Intake, an Automation runbook for the security account: takes over an evidence
# snapshot that a member account shared. Started by EventBridge when the sharing is told
# (cloudformation/security-account.json), or by hand. The copy has the vault's key, which no
# member may use, and a lock; the member can neither revoke nor delete it. Makes nothing it
# would have to take back, so a failed step ends it.
include "book";

{
	schemaVersion: "0.3",
	description: "Copies a shared evidence snapshot into the security account under the vault's key and locks it.",
	assumeRole: "{{ AutomationAssumeRole }}",
	parameters: {
		# The events of EBS write arn:aws:ec2::REGION:snapshot/ID.
		Snapshot: parameter("Id or ARN of the snapshot that was shared.";
			"^(arn:aws[a-z-]*:ec2:[a-z0-9-]*:[a-z0-9-]*:snapshot/)?snap-[0-9a-f]{8,17}$"),
		KmsKeyId: parameter("ARN of the vault's key.";
			"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{8,64}$"),
		EvidenceBucket: parameter("The bucket with the anchors.";
			"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"),
		AutomationAssumeRole: parameter("ARN of the role fvol-intake.";
			"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}$"),
		RetentionDays: (parameter("Days of Snapshot Lock and Object Lock.";
			"^[1-9][0-9]{0,3}$") + {default: "365"}),
		LockMode: {
			type: "String",
			description: "compliance: nobody can end the lock early, not even root.",
			default: "governance",
			allowedValues: ["governance", "compliance"]
		}
	},
	outputs: ["copySnapshot.CopyId", "record.LockState", "record.Key"],
	mainSteps: [
		step("name"; 60; 2; "describe"; null; script("name"; $look; {
			Snapshot: "{{ Snapshot }}"
		}; [["SnapshotId", "String"]])),
		step("describe"; 120; 3; "look"; null; api("ec2"; "DescribeSnapshots";
			{SnapshotIds: ["{{ name.SnapshotId }}"]}; [
				output("OwnerId"; "$.Snapshots[0].OwnerId"; "String")
			])),
		step("look"; 300; 3; "isKnown"; null; script("look"; $look; {
			SnapshotId: "{{ name.SnapshotId }}",
			OwnerId: "{{ describe.OwnerId }}",
			Bucket: "{{ EvidenceBucket }}",
			Account: "{{ global:ACCOUNT_ID }}"
		}; [["Known", "String"], ["Anchor", "String"], ["Case", "String"],
			["InstanceId", "String"], ["Execution", "String"], ["Verdict", "String"],
			["ImageSha256", "String"], ["CustodyHead", "String"]])),
		{
			name: "isKnown",
			action: "aws:branch",
			inputs: {
				Choices: [{Variable: "{{ look.Known }}", StringEquals: "yes",
					NextStep: "alreadyCopied"}],
				Default: "days"
			}
		},
		step("days"; 60; 2; "copySnapshot"; null; script("days"; $record; {
			RetentionDays: "{{ RetentionDays }}"
		}; [["Days", "Integer"]])),
		step("copySnapshot"; 120; 3; "waitCopy"; null; api("ec2"; "CopySnapshot"; {
			SourceRegion: "{{ global:REGION }}",
			SourceSnapshotId: "{{ name.SnapshotId }}",
			Description: "fvol evidence {{ look.Case }} {{ look.InstanceId }}",
			Encrypted: true,
			KmsKeyId: "{{ KmsKeyId }}",
			TagSpecifications: [{ResourceType: "snapshot", Tags: [
				{Key: "Name", Value: "fvol {{ look.Case }} {{ look.InstanceId }}"},
				{Key: "fvol:source", Value: "{{ name.SnapshotId }}"},
				{Key: "fvol:account", Value: "{{ describe.OwnerId }}"},
				{Key: "fvol:case", Value: "{{ look.Case }}"},
				{Key: "fvol:instance", Value: "{{ look.InstanceId }}"},
				{Key: "fvol:execution", Value: "{{ look.Execution }}"},
				{Key: "fvol:verdict", Value: "{{ look.Verdict }}"},
				{Key: "fvol:memory-sha256", Value: "{{ look.ImageSha256 }}"},
				{Key: "fvol:custody-head", Value: "{{ look.CustodyHead }}"}
			]}]
		}; [output("CopyId"; "$.SnapshotId"; "String")])),
		# A key that may not be used shows here only, as the state error.
		step("waitCopy"; 172800; 1; "checkCopy"; null; wait_for("ec2"; "DescribeSnapshots";
			{SnapshotIds: ["{{ copySnapshot.CopyId }}"]}; "$.Snapshots[0].State";
			["completed", "error"])),
		step("checkCopy"; 120; 3; "lockCopy"; null; {
			action: "aws:assertAwsResourceProperty",
			inputs: {Service: "ec2", Api: "DescribeSnapshots",
				SnapshotIds: ["{{ copySnapshot.CopyId }}"],
				PropertySelector: "$.Snapshots[0].State",
				DesiredValues: ["completed"]}
		}),
		step("lockCopy"; 120; 3; "record"; null; api("ec2"; "LockSnapshot"; {
			SnapshotId: "{{ copySnapshot.CopyId }}",
			LockMode: "{{ LockMode }}",
			LockDuration: "{{ days.Days }}"
		}; [])),
		(step("record"; 300; 3; null; null; script("record"; $record; {
			SnapshotId: "{{ name.SnapshotId }}",
			OwnerId: "{{ describe.OwnerId }}",
			CopyId: "{{ copySnapshot.CopyId }}",
			Anchor: "{{ look.Anchor }}",
			ImageSha256: "{{ look.ImageSha256 }}",
			CustodyHead: "{{ look.CustodyHead }}",
			Bucket: "{{ EvidenceBucket }}",
			Account: "{{ global:ACCOUNT_ID }}",
			LockMode: "{{ LockMode }}",
			RetentionDays: "{{ RetentionDays }}"
		}; [["Key", "String"], ["LockState", "String"], ["LockDays", "Integer"]]))
			+ {isEnd: true}),
		{name: "alreadyCopied", action: "aws:sleep", inputs: {Duration: "PT1S"},
			isEnd: true}
	]
}
