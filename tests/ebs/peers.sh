# shellcheck shell=sh disable=SC2154,SC2034 # sourced by run.sh
# Others: AWS's own client against the fake, and our program against another fake of EC2.

fault none 0
if python3 -c 'import botocore' 2> "$work/err"; then
	check 'a release for the peers' 0 '' publish --json --salt peers "$work/a.img"
	snapshot=$(named)
	check "AWS's own client reads the same image back, and publishes it to the fake" 0 \
		'^snap-' env -u AWS_CA_BUNDLE python3 tests/ebs/peers.py "$port" \
		"$work/ca.pem" "$work/a.img" "$snapshot"
else
	echo "skip AWS's own client against the fake: no botocore"
fi

# moto has no direct API worth the name, and no LockSnapshot: share and prune alone.
moto_ask() {
	python3 - "$moto_port" "$work/ca.pem" "$@" <<-'END'
		import sys
		import boto3
		port, ca, what = sys.argv[1:4]
		args = dict(region_name="eu-west-1", verify=ca, aws_access_key_id="AKIDEXAMPLE",
		            aws_secret_access_key="secretexample",
		            endpoint_url="https://localhost:" + port)
		ec2 = boto3.client("ec2", **args)
		if what == "snapshot":
		    volume = ec2.create_volume(Size=1, AvailabilityZone="eu-west-1a")["VolumeId"]
		    print(ec2.create_snapshot(VolumeId=volume, TagSpecifications=[{
		        "ResourceType": "snapshot",
		        "Tags": [{"Key": "fvol:release", "Value": sys.argv[4]}]}])["SnapshotId"])
		elif what == "users":
		    print(",".join(sorted(p["UserId"] for p in ec2.describe_snapshot_attribute(
		        SnapshotId=sys.argv[4], Attribute="createVolumePermission")
		        ["CreateVolumePermissions"])))
		else:
		    print(",".join(s["SnapshotId"] for s in ec2.describe_snapshots(
		        Filters=[{"Name": "tag-key", "Values": ["fvol:release"]}])["Snapshots"]))
	END
}

moto_answers() {
	curl -s --max-time 2 --cacert "$work/ca.pem" -o /dev/null "https://localhost:$moto_port/"
}

if command -v moto_server > "$work/out" && python3 -c 'import boto3' 2> "$work/err"; then
	moto_port=$(free_port)
	env AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x moto_server -H 127.0.0.1 -p "$moto_port" \
		-c "$work/server.pem" -k "$work/server.key" > "$work/moto.log" 2>&1 &
	server_pids="$server_pids $!"
	wait_for 60 moto_answers
	fake_port=$port region=eu-west-1
	port=$moto_port
	# It knows real Regions alone, and neither the keys of snapshots nor their locks.
	one=$(moto_ask snapshot 0.1)
	sleep 1.1
	two=$(moto_ask snapshot 0.2)
	check 'moto: sharing' 0 'added 222222222222' ours share \
		--accounts 222222222222,333333333333 "$one"
	[ "$(moto_ask users "$one")" = 222222222222,333333333333 ] && rc=0 || rc=1
	result "$rc" 'moto has the two accounts'
	check 'moto: another list' 0 'removed 222222222222' ours share \
		--accounts 333333333333 "$one"
	[ "$(moto_ask users "$one")" = 333333333333 ] && rc=0 || rc=1
	result "$rc" 'moto has the other one'
	check 'moto: prune keeps what is to be kept' 0 "kept $one .*newest" ours prune --keep 2
	check 'moto: what may be locked is not deleted' 3 "kept $one .*locks" ours prune \
		--keep 1 --retries 1
	[ "$(moto_ask snapshots)" = "$one,$two" ] || [ "$(moto_ask snapshots)" = "$two,$one" ] &&
		rc=0 || rc=1
	result "$rc" 'moto still has both'
	port=$fake_port region=
else
	echo 'skip share and prune against moto: there is no moto_server'
fi
