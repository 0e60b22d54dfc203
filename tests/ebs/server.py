"""AWS as a release meets it: the EBS direct APIs, and what of EC2 and KMS sharing needs. It
refuses what AWS refuses and recomputes every signature; and it breaks on request.

server.py DIR CERT KEY: listens with TLS on loopback, prints its port.
  DIR/fault     "KIND COUNT [METHOD [PATTERN]]": so many requests that match have the fault;
                "KIND every N ...": each Nth. throttle (400), quota (402), limit (503, EC2),
                500, cut, stall, lost (done, but no answer), lie (other bytes, their own checksum), garble (bytes
                that are not those of the checksum), expired (keys)
  DIR/latency   milliseconds that every request takes longer
  DIR/polls     how often DescribeSnapshots says pending before completed (default 1)
  DIR/failure   a message: what is completed or copied next ends in state error
  DIR/requests  the log: METHOD PATH STATUS CODE, and the action of EC2 and KMS
  DIR/keys.json keys of KMS: {ARN: {"KeyManager", "KeyState", "Policy", "Grants"}}
GET /_state tells everything, POST /_snapshot makes a snapshot, POST /_key a key, for tests.
"""
import base64, gzip, hashlib, hmac, http.server, json, os, re, socketserver, ssl, sys, threading
import time
import urllib.parse
from xml.sax.saxutils import escape

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import faults, sigv4  # noqa: E402

DIR, CERT, KEY = sys.argv[1:4]
BLOCK = 524288
ACCOUNT = "111122223333"
SECRETS = {"AKIDEXAMPLE": "secretexample"}
TOKENS = {}
NS = 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"'
lock = threading.RLock()
snapshots = {}  # (region, id) to dict
store = {}      # digest to bytes
tokens = {}     # client token to (parameters, id)
keys = {}       # ARN to dict
public_access = {}
counters = {"next": 0}
log = open(os.path.join(DIR, "requests"), "a", buffering=1)
asked = faults.Asked(DIR)
read, fault_for = asked.read, asked.fault_for


class Refused(Exception):
    def __init__(self, status, code, message="no"):
        self.status, self.code, self.message = status, code, message


def model(service):
    """The service's model as AWS's own client has it, or None."""
    try:
        import botocore
        base = os.path.join(os.path.dirname(botocore.__file__), "data", service)
        path = os.path.join(base, sorted(os.listdir(base))[-1], "service-2.json")
        if os.path.exists(path):
            return json.load(open(path))
        return json.load(gzip.open(path + ".gz"))
    except (ImportError, OSError):
        return None


MODELS = {name: model(name) for name in ("ec2", "kms", "ebs")}


def check_form(action, form):
    """Members that are required or unknown, by AWS's model of EC2."""
    if not MODELS["ec2"]:
        return
    shapes = MODELS["ec2"]["shapes"]
    shape = shapes[MODELS["ec2"]["operations"][action]["input"]["shape"]]
    known = {}
    for name, member in shape["members"].items():
        location = member.get("queryName") or member.get("locationName") or name
        known[location[0].upper() + location[1:]] = name
    given = {known.get(key.split(".")[0]) for key in form if key not in ("Action", "Version")}
    if None in given:
        raise Refused(400, "UnknownParameter", str(sorted(form)))
    missing = set(shape.get("required", ())) - given
    if missing:
        raise Refused(400, "MissingParameter", ", ".join(sorted(missing)))


def check_json(service, action, body):
    if not MODELS[service]:
        return
    operation = MODELS[service]["operations"][action]
    shape = MODELS[service]["shapes"][operation["input"]["shape"]]
    unknown = set(body) - set(shape["members"])
    missing = {n for n in shape.get("required", ()) if n not in body}
    if unknown or missing:
        raise Refused(400, "ValidationException", "unknown %s, missing %s" % (
            sorted(unknown), sorted(missing)))


def new_id():
    counters["next"] += 1
    return "snap-%017x" % (0xabc0000 + counters["next"])


def block_token(snapshot_id, index):
    return base64.b64encode(hmac.new(b"tokens", ("%s/%d" % (snapshot_id, index)).encode(),
                                     hashlib.sha256).digest()).decode()


def content(snapshot):
    """All blocks that a snapshot holds, its parents' among them."""
    blocks = {}
    if snapshot.get("parent"):
        blocks.update(content(snapshots[snapshot["region"], snapshot["parent"]]))
    blocks.update(snapshot["blocks"])
    return blocks


def advance(snapshot):
    """Pending becomes completed, or error, after so many looks."""
    if snapshot["state"] == "pending" and snapshot["sealed"]:
        if snapshot["polls"] > 0:
            snapshot["polls"] -= 1
        elif snapshot["failure"]:
            snapshot["state"], snapshot["message"] = "error", snapshot["failure"]
        else:
            snapshot["state"] = "completed"


def make(region, **more):
    snapshot = {"id": new_id(), "region": region, "state": "pending", "message": "",
                "sealed": False, "polls": int(read("polls") or 1), "failure": "",
                "gib": 1, "blocks": {}, "kms": "", "parent": "", "tags": {}, "users": [],
                "groups": [], "lock": "", "description": "", "owner": ACCOUNT,
                "time": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())}
    snapshot.update(more)
    snapshots[region, snapshot["id"]] = snapshot
    return snapshot


def find(region, snapshot_id, code="InvalidSnapshot.NotFound", status=400):
    snapshot = snapshots.get((region, snapshot_id))
    if not snapshot:
        raise Refused(status, code, "The snapshot '%s' does not exist." % snapshot_id)
    return snapshot


def managed_by_aws(arn):
    return keys.get(arn, {}).get("KeyManager") == "AWS"


# ---- The EBS direct APIs. ----

def start_snapshot(region, body):
    check_json("ebs", "StartSnapshot", body)
    gib = body.get("VolumeSize")
    if not isinstance(gib, int) or not 1 <= gib <= 65536:
        raise Refused(400, "ValidationException", "VolumeSize")
    if len(body.get("Description", "")) > 255 or len(body.get("ClientToken", "")) > 64:
        raise Refused(400, "ValidationException", "too long")
    if not 10 <= body.get("Timeout", 60) <= 4320:
        raise Refused(400, "ValidationException", "Timeout")
    if len(body.get("Tags", ())) > 50 or len({t["Key"] for t in body.get("Tags", ())}) != \
            len(body.get("Tags", ())):
        raise Refused(400, "ValidationException", "Tags")
    parent = body.get("ParentSnapshotId")
    if parent and ("Encrypted" in body or "KmsKeyArn" in body):
        raise Refused(400, "ValidationException", "INVALID_PARAMETER_COMBINATION")
    if "KmsKeyArn" in body and not body.get("Encrypted"):
        raise Refused(400, "ValidationException", "KmsKeyArn without Encrypted")
    if "KmsKeyArn" in body and body["KmsKeyArn"] not in keys:
        raise Refused(400, "ValidationException", "INVALID_KMS_KEY")
    kms = body.get("KmsKeyArn", "")
    if parent:
        of = find(region, parent, "ResourceNotFoundException", 404)
        if of["state"] != "completed":
            raise Refused(400, "ValidationException", "the parent is not completed")
        if gib < of["gib"]:
            raise Refused(400, "ValidationException", "smaller than its parent")
        kms = of["kms"]
    token = body.get("ClientToken")
    if token in tokens:
        if tokens[token][0] != body:
            raise Refused(409, "ConflictException", "IDEMPOTENT_PARAMETER_MISMATCH")
        snapshot = find(region, tokens[token][1], "ResourceNotFoundException", 404)
    else:
        snapshot = make(region, gib=gib, parent=parent or "", kms=kms,
                        description=body.get("Description", ""),
                        tags={t["Key"]: t["Value"] for t in body.get("Tags", ())})
        if token:
            tokens[token] = (body, snapshot["id"])
    answer = {"SnapshotId": snapshot["id"], "OwnerId": ACCOUNT, "Status": snapshot["state"],
              "StartTime": time.time(), "VolumeSize": snapshot["gib"], "BlockSize": BLOCK,
              "Description": snapshot["description"],
              "Tags": [{"Key": k, "Value": v} for k, v in snapshot["tags"].items()]}
    if kms:
        answer["KmsKeyArn"] = kms
    if parent:
        answer["ParentSnapshotId"] = parent
    return 201, answer


def put_block(region, snapshot_id, index, headers, body):
    snapshot = find(region, snapshot_id, "ResourceNotFoundException", 404)
    if snapshot["state"] != "pending" or snapshot["sealed"]:
        raise Refused(400, "ValidationException", "INVALID_SNAPSHOT_STATE")
    if index >= snapshot["gib"] * 2048:
        raise Refused(400, "ValidationException", "INVALID_BLOCK")
    if headers.get("x-amz-data-length") != str(BLOCK) or len(body) != BLOCK:
        raise Refused(400, "ValidationException", "INVALID_CONTENT_LENGTH")
    if headers.get("x-amz-checksum-algorithm") != "SHA256":
        raise Refused(400, "ValidationException", "INVALID_CHECKSUM_ALGORITHM")
    digest = hashlib.sha256(body).digest()
    checksum = base64.b64encode(digest).decode()
    if headers.get("x-amz-checksum") != checksum:
        raise Refused(400, "ValidationException", "INVALID_CHECKSUM")
    with lock:
        store[digest] = body
        snapshot["blocks"][index] = digest
    return 201, [("x-amz-Checksum", checksum), ("x-amz-Checksum-Algorithm", "SHA256")]


def complete(region, snapshot_id, headers):
    snapshot = find(region, snapshot_id, "ResourceNotFoundException", 404)
    if snapshot["state"] != "pending" or snapshot["sealed"]:
        raise Refused(400, "ValidationException", "INVALID_SNAPSHOT_STATE")
    if headers.get("x-amz-changedblockscount") != str(len(snapshot["blocks"])):
        raise Refused(400, "ValidationException", "INVALID_CHANGED_BLOCKS_COUNT")
    linear = base64.b64encode(hashlib.sha256(
        b"".join(snapshot["blocks"][n] for n in sorted(snapshot["blocks"]))).digest()).decode()
    if "x-amz-checksum" in headers:
        if headers.get("x-amz-checksum-algorithm") != "SHA256" or \
                headers.get("x-amz-checksum-aggregation-method") != "LINEAR":
            raise Refused(400, "ValidationException", "INVALID_CHECKSUM_ALGORITHM")
        if headers["x-amz-checksum"] != linear:
            raise Refused(400, "ValidationException", "INVALID_CHECKSUM")
    snapshot["sealed"], snapshot["failure"] = True, read("failure")
    return 202, {"Status": "pending"}


def list_blocks(region, snapshot_id, query):
    snapshot = find(region, snapshot_id, "ResourceNotFoundException", 404)
    if snapshot["state"] != "completed":
        raise Refused(400, "ValidationException", "INVALID_SNAPSHOT_STATE")
    most = int(query.get("maxResults", 10000))
    if not 100 <= most <= 10000:
        raise Refused(400, "ValidationException", "maxResults")
    answer = {"VolumeSize": snapshot["gib"], "BlockSize": BLOCK, "ExpiryTime": time.time() + 6e5}
    if "pageToken" in query:
        begin = int(base64.b64decode(query["pageToken"]).decode().split("@")[1])
    elif query.get("startingBlockIndex", "0") != "0":
        begin = int(query["startingBlockIndex"])
    else:
        # A page without blocks and with a token is legal: always the first one here.
        answer.update(Blocks=[], NextToken=base64.b64encode(b"page@0").decode())
        return 200, answer
    held = sorted(n for n in content(snapshot) if n >= begin)
    answer["Blocks"] = [{"BlockIndex": n, "BlockToken": block_token(snapshot_id, n)}
                        for n in held[:most]]
    if len(held) > most:
        answer["NextToken"] = base64.b64encode(b"page@%d" % held[most]).decode()
    return 200, answer


def get_block(region, snapshot_id, index, query):
    snapshot = find(region, snapshot_id, "ResourceNotFoundException", 404)
    blocks = content(snapshot)
    if snapshot["state"] != "completed" or index not in blocks:
        raise Refused(404, "ResourceNotFoundException", "no block")
    if query.get("blockToken") != block_token(snapshot_id, index):
        raise Refused(400, "ValidationException", "INVALID_BLOCK_TOKEN")
    return store[blocks[index]]


# ---- EC2. ----

def listed(form, name):
    out, n = [], 1
    while "%s.%d" % (name, n) in form:
        out.append(form["%s.%d" % (name, n)])
        n += 1
    return out


def tags_xml(tags):
    return "<tagSet>%s</tagSet>" % "".join(
        "<item><key>%s</key><value>%s</value></item>" % (escape(k), escape(v))
        for k, v in tags.items())


def matches(snapshot, form):
    n = 1
    while "Filter.%d.Name" % n in form:
        name, values = form["Filter.%d.Name" % n], listed(form, "Filter.%d.Value" % n)
        if name == "tag-key":
            if not set(values) & set(snapshot["tags"]):
                return False
        elif name.startswith("tag:"):
            if snapshot["tags"].get(name[4:]) not in values:
                return False
        else:
            raise Refused(400, "InvalidParameterValue", name)
        n += 1
    return True


def describe_snapshots(region, form):
    ids = listed(form, "SnapshotId")
    if ids and "MaxResults" in form:
        raise Refused(400, "InvalidParameterCombination")
    if not ids and listed(form, "Owner") != ["self"]:
        raise Refused(400, "InvalidParameterValue", "everybody's public snapshots")
    for snapshot_id in ids:
        find(region, snapshot_id)
    found = [s for (r, i), s in sorted(snapshots.items())
             if r == region and (not ids or i in ids) and matches(s, form)]
    begin = int(form.get("NextToken", "page0")[4:])
    most = int(form.get("MaxResults", 1000))
    if not 5 <= most <= 1000:
        raise Refused(400, "InvalidParameterValue", "MaxResults")
    most = min(most, int(read("page") or most))
    items = ""
    for s in found[begin:begin + most]:
        advance(s)
        items += ("<item><snapshotId>%s</snapshotId><volumeId>vol-ffffffff</volumeId>"
                  "<status>%s</status>%s<startTime>%s</startTime><progress>%s</progress>"
                  "<ownerId>%s</ownerId><volumeSize>%d</volumeSize><description>%s</description>"
                  "<encrypted>%s</encrypted>%s%s</item>") % (
            s["id"], s["state"],
            "<statusMessage>%s</statusMessage>" % escape(s["message"]) if s["message"] else "",
            s["time"], "100%" if s["state"] == "completed" else "40%", s["owner"], s["gib"],
            escape(s["description"]), "true" if s["kms"] else "false",
            "<kmsKeyId>%s</kmsKeyId>" % s["kms"] if s["kms"] else "", tags_xml(s["tags"]))
    more = "<nextToken>page%d</nextToken>" % (begin + most) if len(found) > begin + most else ""
    return "<snapshotSet>%s</snapshotSet>%s" % (items, more)


def describe_attribute(region, form):
    snapshot = find(region, form["SnapshotId"])
    if form["Attribute"] != "createVolumePermission":
        raise Refused(400, "InvalidParameterValue")
    return "<snapshotId>%s</snapshotId><createVolumePermission>%s%s</createVolumePermission>" % (
        snapshot["id"], "".join("<item><userId>%s</userId></item>" % u for u in snapshot["users"]),
        "".join("<item><group>%s</group></item>" % g for g in snapshot["groups"]))


def modify_attribute(region, form):
    snapshot = find(region, form["SnapshotId"])
    users, groups = listed(form, "UserId"), listed(form, "UserGroup")
    operation = form.get("OperationType")
    if form.get("Attribute") != "createVolumePermission" or operation not in ("add", "remove"):
        raise Refused(400, "InvalidParameterValue")
    if bool(users) == bool(groups) or len(users) > 500:
        raise Refused(400, "InvalidParameterCombination", "users")
    if not all(re.match(r"^\d{12}$", u) for u in users) or len(set(users)) != len(users):
        raise Refused(400, "InvalidUserID.Malformed")
    if snapshot["state"] != "completed":
        raise Refused(400, "IncorrectState")
    if operation == "add" and managed_by_aws(snapshot["kms"]):
        raise Refused(400, "OperationNotPermitted",
                      "Encrypted snapshots with EBS default key cannot be shared")
    if operation == "add" and groups and (snapshot["kms"] or public_access.get(region)):
        raise Refused(400, "OperationNotPermitted", "public")
    have = snapshot["groups"] if groups else snapshot["users"]
    for name in users or groups:
        if operation == "add" and name not in have:
            have.append(name)
        elif operation == "remove" and name in have:
            have.remove(name)
    return "<return>true</return>"


def lock_snapshot(region, form):
    snapshot = find(region, form["SnapshotId"])
    mode = form.get("LockMode")
    if mode not in ("governance", "compliance"):
        raise Refused(400, "InvalidParameterValue", "LockMode")
    if ("LockDuration" in form) == ("ExpirationDate" in form):
        raise Refused(400, "InvalidParameterCombination", "duration")
    if not 1 <= int(form.get("LockDuration", 1)) <= 36500:
        raise Refused(400, "InvalidParameterValue", "LockDuration")
    if "CoolOffPeriod" in form and (mode != "compliance" or
                                    not 1 <= int(form["CoolOffPeriod"]) <= 72):
        raise Refused(400, "InvalidParameterValue", "CoolOffPeriod")
    if snapshot["lock"] == "compliance":
        raise Refused(400, "OperationNotPermitted", "compliance")
    snapshot["lock"] = "compliance-cooloff" if "CoolOffPeriod" in form else mode
    return "<snapshotId>%s</snapshotId><lockState>%s</lockState>" % (snapshot["id"],
                                                                    snapshot["lock"])


def locked(region, form):
    ids = listed(form, "SnapshotId")
    return "<snapshotSet>%s</snapshotSet>" % "".join(
        "<item><ownerId>%s</ownerId><snapshotId>%s</snapshotId><lockState>%s</lockState></item>"
        % (ACCOUNT, i, s["lock"]) for (r, i), s in snapshots.items()
        if r == region and s["lock"] and (not ids or i in ids))


def check_presigned(url, form):
    parsed = urllib.parse.urlsplit(url)
    query = dict(urllib.parse.parse_qsl(parsed.query, keep_blank_values=True))
    said = query.pop("X-Amz-Signature", "")
    scope = query.get("X-Amz-Credential", "////").split("/")
    expected = sigv4.signature(SECRETS.get(scope[0], ""), "GET", parsed.path,
                               list(query.items()), {"host": parsed.netloc}, ["host"],
                               hashlib.sha256(b"").hexdigest(), query.get("X-Amz-Date", ""),
                               scope[2], scope[3])
    if said != expected or scope[2] != form["SourceRegion"] or scope[3] != "ec2" or \
            query.get("Action") != "CopySnapshot" or \
            query.get("SourceSnapshotId") != form["SourceSnapshotId"] or \
            query.get("SourceRegion") != form["SourceRegion"]:
        raise Refused(400, "InvalidRequest", "the presigned URL")
    return query.get("DestinationRegion")


def copy_snapshot(region, form):
    source = find(form["SourceRegion"], form["SourceSnapshotId"])
    if source["state"] != "completed":
        raise Refused(400, "IncorrectState")
    if source["kms"]:
        if "PresignedUrl" not in form:
            raise Refused(400, "MissingParameter", "PresignedUrl")
        if check_presigned(form["PresignedUrl"], form) != region:
            raise Refused(400, "InvalidRequest", "the presigned URL's Region")
    kms = form.get("KmsKeyId", "") or source["kms"]
    if "KmsKeyId" in form and form.get("Encrypted") != "true":
        raise Refused(400, "InvalidParameterDependency")
    tags, n = {}, 1
    while "TagSpecification.1.Tag.%d.Key" % n in form:
        tags[form["TagSpecification.1.Tag.%d.Key" % n]] = form["TagSpecification.1.Tag.%d.Value" % n]
        n += 1
    if tags and form.get("TagSpecification.1.ResourceType") != "snapshot":
        raise Refused(400, "InvalidParameterValue", "ResourceType")
    failure = read("failure")
    if kms and (kms not in keys or ":%s:" % region not in kms):
        failure = "Given key ID is not accessible"
    copy = make(region, gib=source["gib"], blocks=content(source), kms=kms, tags=tags,
                sealed=True, failure=failure, description=form.get("Description", ""))
    return "<snapshotId>%s</snapshotId>" % copy["id"]


def delete_snapshot(region, form):
    snapshot = find(region, form["SnapshotId"])
    if snapshot["lock"]:
        raise Refused(400, "SnapshotLocked", "The snapshot is locked")
    if read("in-use") == snapshot["id"]:
        raise Refused(400, "InvalidSnapshot.InUse", "in use by ami-1")
    # Children keep what they need.
    for s in snapshots.values():
        if s["parent"] == snapshot["id"] and s["region"] == region:
            s["blocks"], s["parent"] = content(s), ""
    del snapshots[region, snapshot["id"]]
    return "<return>true</return>"


def enable_block(region, form):
    if form["State"] not in ("block-all-sharing", "block-new-sharing"):
        raise Refused(400, "InvalidParameterValue")
    public_access[region] = form["State"]
    return "<state>%s</state>" % form["State"]


EC2 = {"DescribeSnapshots": describe_snapshots,
       "DescribeSnapshotAttribute": describe_attribute,
       "ModifySnapshotAttribute": modify_attribute, "LockSnapshot": lock_snapshot,
       "DescribeLockedSnapshots": locked, "CopySnapshot": copy_snapshot,
       "DeleteSnapshot": delete_snapshot,
       "GetSnapshotBlockPublicAccessState": lambda region, form:
           "<state>%s</state>" % public_access.get(region, "unblocked"),
       "EnableSnapshotBlockPublicAccess": enable_block}


# ---- KMS. ----

def kms_key(region, body):
    key = keys.get(body.get("KeyId"))
    if not key or ":%s:" % region not in body["KeyId"]:
        raise Refused(400, "NotFoundException", "Invalid keyId %s" % body.get("KeyId"))
    return key


def describe_key(region, body):
    key = kms_key(region, body)
    return {"KeyMetadata": {"Arn": body["KeyId"], "KeyId": body["KeyId"].split("/")[-1],
                            "KeyManager": key["KeyManager"], "KeyState": key["KeyState"],
                            "Enabled": key["KeyState"] == "Enabled"}}


def get_policy(region, body):
    if body.get("PolicyName", "default") != "default":
        raise Refused(400, "NotFoundException", "No such policy exists")
    return {"Policy": kms_key(region, body)["Policy"], "PolicyName": "default"}


def put_policy(region, body):
    key = kms_key(region, body)
    if len(body["Policy"]) > 32768:
        raise Refused(400, "LimitExceededException")
    try:
        policy = json.loads(body["Policy"])
        ok = policy["Version"] == "2012-10-17" and all(
            set(s) <= {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"} and
            {"Effect", "Principal", "Action", "Resource"} <= set(s) and
            s["Effect"] in ("Allow", "Deny") for s in policy["Statement"])
        # Whoever writes it must be able to write it again.
        ok = ok and any(s["Effect"] == "Allow" and "kms:*" in s["Action"] and
                        "arn:aws:iam::%s:root" % ACCOUNT in s["Principal"].get("AWS", "")
                        for s in policy["Statement"])
    except (ValueError, KeyError, TypeError):
        ok = False
    if not ok or key["KeyManager"] == "AWS":
        raise Refused(400, "MalformedPolicyDocumentException")
    key["Policy"] = body["Policy"]
    return {}


def list_grants(region, body):
    grants = kms_key(region, body).setdefault("Grants", [])
    begin, most = int(body.get("Marker", "0")), min(body.get("Limit", 50), 2)
    answer = {"Grants": grants[begin:begin + most], "Truncated": len(grants) > begin + most}
    if answer["Truncated"]:
        answer["NextMarker"] = str(begin + most)
    return answer


def create_grant(region, body):
    key = kms_key(region, body)
    if not re.match(r"^arn:aws:iam::\d{12}:(root|(role|user)/.+)$", body["GranteePrincipal"]):
        raise Refused(400, "InvalidArnException")
    grant = {"GranteePrincipal": body["GranteePrincipal"], "Operations": body["Operations"],
             "Name": body.get("Name", ""), "KeyId": body["KeyId"]}
    if grant not in key.setdefault("Grants", []):
        key["Grants"].append(grant)
    return {"GrantId": "0" * 64, "GrantToken": "x"}


KMS = {"DescribeKey": describe_key, "GetKeyPolicy": get_policy, "PutKeyPolicy": put_policy,
       "ListGrants": list_grants, "CreateGrant": create_grant}


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120
    disable_nagle_algorithm = True
    action = fault = ""

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", headers=(), note=""):
        if self.fault == "lost" and status < 300:
            return self.cut("lost")
        log.write("%s %s %d %s%s\n" % (self.command, self.path.split("?")[0], status, note,
                                       " " + self.action if self.action else ""))
        out = ["HTTP/1.1 %d -" % status, "Content-Length: %d" % len(body),
               "Date: " + self.date_time_string()]
        out += ["%s: %s" % h for h in headers]
        data = "\r\n".join(out).encode() + b"\r\n\r\n"
        self.wfile.write(data + body if len(body) < 65536 else data)
        if len(body) >= 65536:
            self.wfile.write(body)
        return None

    def refuse(self, status, code, message="no"):
        if self.service == "ec2":
            body = ("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Errors><Error><Code>%s"
                    "</Code><Message>%s</Message></Error></Errors><RequestID>r</RequestID>"
                    "</Response>" % (code, escape(message))).encode()
            return self.answer(status, body, [("Content-Type", "text/xml")], code)
        name = "__type" if self.service == "kms" else "Reason"
        body = json.dumps({name: code, "Message": message}).encode()
        return self.answer(status, body, [("x-amzn-ErrorType", code + ":http://internal/"),
                                          ("Content-Type", "application/json")], code)

    def cut(self, note):
        log.write("%s %s 0 %s\n" % (self.command, self.path.split("?")[0], note))
        self.close_connection = True
        try:
            self.connection.shutdown(2)
        except OSError:
            pass

    def check_signature(self, body):
        headers = {n.lower(): v for n, v in self.headers.items()}
        m = sigv4.AUTHORIZATION.match(headers.get("authorization", ""))
        if not m:
            raise Refused(403, "MissingAuthenticationToken")
        key, date, region, service, names, said = m.groups()
        names = names.split(";")
        self.service, self.region = service, region
        if names != sorted(names) or "host" not in names:
            raise Refused(403, "SignatureDoesNotMatch", "headers")
        for name in headers:
            if name.startswith("x-amz-") and name not in names:
                raise Refused(403, "SignatureDoesNotMatch", "not signed: " + name)
        payload = hashlib.sha256(body).hexdigest()
        claimed = headers.get("x-amz-content-sha256")
        ours = headers.get("user-agent", "").startswith("fvol/")
        if ours and not claimed:
            raise Refused(400, "MissingContentSHA256")
        if claimed == "UNSIGNED-PAYLOAD" and not ours and self.command == "PUT":
            payload = claimed
        elif claimed not in (None, payload):
            raise Refused(400, "XAmzContentSHA256Mismatch")
        when = headers.get("x-amz-date", "")
        if not when.startswith(date) or \
                abs(time.time() - __import__("calendar").timegm(
                    time.strptime(when, "%Y%m%dT%H%M%SZ"))) > 300:
            raise Refused(403, "InvalidSignatureException", "Signature expired")
        if key not in SECRETS or TOKENS.get(key) != headers.get("x-amz-security-token"):
            raise Refused(403, "UnrecognizedClientException")
        expected = sigv4.signature(SECRETS[key], self.command, self.parsed.path,
                                   self.pairs, headers, names, payload, when, region, service)
        if expected != said:
            raise Refused(403, "SignatureDoesNotMatch")

    def control(self, body):
        if self.path == "/_state":
            state = [dict(s, blocks={str(n): d.hex() for n, d in content(s).items()},
                          own=len(s["blocks"])) for s in snapshots.values()]
            data = json.dumps({"snapshots": state, "keys": keys, "public": public_access})
        elif self.path == "/_snapshot":
            data = json.dumps(dict(make(**json.loads(body)), blocks={}))
        else:
            keys.update(json.loads(body))
            data = "{}"
        self.answer(200, data.encode())

    def ebs(self, body):
        path, query = self.parsed.path, dict(self.pairs)
        headers = {n.lower(): v for n, v in self.headers.items()}
        if self.command == "POST" and path == "/snapshots":
            try:
                fields = json.loads(body)
            except ValueError:
                raise Refused(400, "ValidationException", "JSON") from None
            with lock:
                status, answer = start_snapshot(self.region, fields)
            return self.answer(status, json.dumps(answer).encode())
        m = re.match(r"^/snapshots/completion/(snap-[0-9a-f]+)$", path)
        if self.command == "POST" and m:
            with lock:
                status, answer = complete(self.region, m[1], headers)
            return self.answer(status, json.dumps(answer).encode())
        m = re.match(r"^/snapshots/(snap-[0-9a-f]+)/blocks(?:/(\d+))?$", path)
        if self.command == "PUT" and m and m[2]:
            status, more = put_block(self.region, m[1], int(m[2]), headers, body)
            return self.answer(status, b"{}", more)
        if self.command == "GET" and m and not m[2]:
            with lock:
                status, answer = list_blocks(self.region, m[1], query)
            return self.answer(status, json.dumps(answer).encode())
        if self.command == "GET" and m:
            data = get_block(self.region, m[1], int(m[2]), query)
            if self.fault in ("lie", "garble"):
                data = bytes([data[0] ^ 1]) + data[1:]
            said = store_digest = hashlib.sha256(data).digest()
            if self.fault == "garble":
                said = bytes([store_digest[0] ^ 1]) + store_digest[1:]
            return self.answer(200, data, [
                ("x-amz-Data-Length", str(len(data))), ("x-amz-Checksum-Algorithm", "SHA256"),
                ("x-amz-Checksum", base64.b64encode(said).decode())], self.fault)
        raise Refused(404, "UnknownOperationException")

    def ec2(self, body):
        if self.headers.get("Content-Type", "").split(";")[0] != "application/x-www-form-urlencoded":
            raise Refused(400, "InvalidRequest", "content type")
        form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
        self.action = form.get("Action", "")
        if self.action not in EC2 or form.get("Version") != "2016-11-15":
            raise Refused(400, "InvalidAction", self.action)
        check_form(self.action, form)
        with lock:
            inner = EC2[self.action](self.region, form)
        text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<%sResponse %s>" \
            "<requestId>r</requestId>%s</%sResponse>" % (self.action, NS, inner, self.action)
        self.answer(200, text.encode(), [("Content-Type", "text/xml;charset=UTF-8")])

    def kms(self, body):
        target = self.headers.get("X-Amz-Target", "").split(".")
        self.action = target[-1]
        if target[0] != "TrentService" or self.action not in KMS or \
                self.headers.get("Content-Type") != "application/x-amz-json-1.1":
            raise Refused(400, "UnknownOperationException")
        fields = json.loads(body)
        check_json("kms", self.action, fields)
        with lock:
            answer = KMS[self.action](self.region, fields)
        self.answer(200, json.dumps(answer).encode(),
                    [("Content-Type", "application/x-amz-json-1.1")])

    def break_it(self, length):
        """Returns whether the fault was the answer."""
        if self.fault in ("cut", "stall"):
            self.rfile.read(length // 2)
            if self.fault == "stall":
                time.sleep(5)
            self.cut(self.fault)
            return True
        return False

    def handle_one(self):
        self.parsed = urllib.parse.urlsplit(self.path)
        self.pairs = urllib.parse.parse_qsl(self.parsed.query, keep_blank_values=True)
        self.service, self.region, self.action = "ebs", "", ""
        m = re.search(r"/(ebs|ec2|kms)/aws4_request", self.headers.get("Authorization", ""))
        if m:
            self.service = m[1]
        length = self.headers.get("Content-Length")
        if self.command in ("PUT", "POST") and length is None:
            return self.refuse(411, "MissingContentLength")
        length = int(length or 0)
        self.fault = "" if self.path.startswith("/_") else fault_for(self.requestline)
        if self.break_it(length):
            return None
        body = self.rfile.read(length)
        if len(body) < length:
            return self.cut("incomplete")
        if self.path.startswith("/_"):
            return self.control(body)
        latency = read("latency")
        if latency:
            time.sleep(int(latency) / 1000)
        refusals = {"throttle": (400, "RequestThrottledException"),
                    "quota": (402, "ServiceQuotaExceededException"),
                    "limit": (503, "RequestLimitExceeded"), "500": (500, "InternalServerException"),
                    "expired": (403, "ExpiredTokenException")}
        if self.fault in refusals:
            return self.refuse(*refusals[self.fault])
        try:
            self.check_signature(body)
            getattr(self, self.service)(body)
        except Refused as no:
            self.refuse(no.status, no.code, no.message)
        return None

    def do_GET(self):
        self.handle_one()

    do_PUT = do_POST = do_GET


class Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def get_request(self):
        connection, address = self.socket.accept()
        return context.wrap_socket(connection, server_side=True,
                                   do_handshake_on_connect=False), address

    def handle_error(self, request, client_address):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERT, KEY)
if read("keys.json"):
    keys.update(json.loads(read("keys.json")))
server = Listener(("127.0.0.1", 0), Server)
print(server.server_port, flush=True)
server.serve_forever()
