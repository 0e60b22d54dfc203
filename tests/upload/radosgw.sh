# shellcheck shell=sh
# A real S3 server for tests: Ceph's radosgw with one monitor and one object store in
# memory, on loopback, as this user, in a directory of its own. To be sourced.
#   rgw_start DIR     starts it; sets RGW_PORT; keys are in DIR/root.env
#   rgw_stop          ends what rgw_start started
# What makes it start in a second: no manager, short paxos intervals, a memstore, pools of
# one copy; what makes it reliable: absolute class directories, a store that is tried again.

RGW_PIDS=

# Prints a free port of loopback.
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Arguments: directory. Writes ceph.conf.
rgw_config() {
	classes=/usr/lib/$(uname -m)-linux-gnu/rados-classes
	[ -d "$classes" ] || classes=/usr/lib/rados-classes
	cat > "$1/ceph.conf" <<-EOF
		[global]
		fsid = $RGW_FSID
		mon_host = v2:127.0.0.1:$RGW_MON_PORT
		auth_cluster_required = none
		auth_service_required = none
		auth_client_required = none
		ms_mon_client_mode = crc
		ms_bind_ipv6 = false
		public_addr = 127.0.0.1
		run_dir = $1
		admin_socket = $1/\$name.asok
		pid_file =
		log_file = $1/\$name.log
		mon_cluster_log_file = $1/cluster.log
		debug_ms = 0
		osd_pool_default_size = 1
		osd_pool_default_min_size = 1
		osd_pool_default_pg_num = 4
		osd_pool_default_pgp_num = 4
		osd_pool_default_pg_autoscale_mode = off
		osd_crush_chooseleaf_type = 0
		mon_allow_pool_size_one = true
		mon_data = $1/mon
		mon_max_pg_per_osd = 10000
		mon_data_avail_crit = 1
		mon_data_avail_warn = 1
		paxos_propose_interval = 0.05
		paxos_min_wait = 0.01
		osd_data = $1/osd
		osd_objectstore = memstore
		memstore_device_bytes = 12884901888
		osd_class_dir = $classes
		osd_class_load_list = *
		osd_class_default_list = *
		osd_scrub_load_threshold = 0
		rgw_data = $1/rgw
		rgw_dns_name = localhost
		rgw_enable_usage_log = false
		rgw_gc_obj_min_wait = 1
		rgw_s3_auth_use_sts = true
		rgw_sts_key = abcdefghijklmnop
		rgw_sts_max_session_duration = 43200
		rgw_crypt_require_ssl = false
		rgw_crypt_s3_kms_backend = testing
		rgw_crypt_s3_kms_encryption_keys = testkey-1=YmluCmJvb3N0CmJvb3N0LWJ1aWxkCmNlcGguY29uZgo=
		rgw_frontends = beast ssl_endpoint=127.0.0.1:$RGW_PORT ssl_certificate=$1/server.pem ssl_private_key=$1/server.key
		rgw_thread_pool_size = 64
	EOF
}

# Arguments: directory, name, subject alternative names, days, CA prefix. Makes NAME.pem,
# NAME.key signed by the CA; days may be negative: then it has expired.
make_certificate() {
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" \
		-keyout "$1/$2.key" -out "$1/$2.csr" 2> /dev/null
	printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$3" > "$1/$2.ext"
	from=$(date -u -d "${6:--10} days" +%Y%m%d%H%M%SZ)
	to=$(date -u -d "$4 days" +%Y%m%d%H%M%SZ)
	# "x509 -req" cannot date back, "ca" can.
	mkdir -p "$1/$2.ca"
	: > "$1/$2.ca/index"
	printf '[a]\ndatabase=%s\nnew_certs_dir=%s\nserial=%s\ndefault_md=sha256\npolicy=p\nrand_serial=yes\n[p]\ncommonName=supplied\n' \
		"$1/$2.ca/index" "$1/$2.ca" "$1/$2.ca/serial" > "$1/$2.ca/conf"
	openssl ca -batch -notext -config "$1/$2.ca/conf" -name a -startdate "$from" \
		-enddate "$to" -extfile "$1/$2.ext" -cert "$1/$5.pem" -keyfile "$1/$5.key" \
		-in "$1/$2.csr" -out "$1/$2.pem" 2> "$1/$2.ca/log"
}

# Arguments: directory, name. Makes a CA.
make_ca() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3 \
		-subj "/CN=$2" -addext basicConstraints=critical,CA:TRUE \
		-addext keyUsage=critical,keyCertSign -keyout "$1/$2.key" -out "$1/$2.pem" \
		2> /dev/null
}

# Arguments: command... Runs it in the background and remembers it.
rgw_spawn() {
	"$@" > /dev/null 2>> "$RGW_DIR/spawn.log" &
	RGW_PIDS="$RGW_PIDS $!"
}

# Arguments: seconds, command... Returns: 0 as soon as the command succeeds; 1 never.
wait_for() {
	end=$(($(date +%s) + $1))
	shift
	until "$@" > /dev/null 2>&1; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# Returns: 0 when the gateway answers.
rgw_answers() {
	curl -s --max-time 2 --cacert "$RGW_DIR/ca.pem" -o /dev/null \
		"https://localhost:$RGW_PORT/"
}

# Arguments: words of ceph. Asks the monitor.
rgw_ceph() {
	timeout 60 ceph -c "$RGW_DIR/ceph.conf" --connect-timeout 30 "$@"
}

# Arguments: words of radosgw-admin.
rgw_admin() {
	timeout 60 radosgw-admin -c "$RGW_DIR/ceph.conf" "$@"
}

# Arguments: directory (new). Returns: 0 started; 1 it would not.
rgw_start() {
	RGW_DIR=$1
	mkdir -p "$RGW_DIR/mon" "$RGW_DIR/osd" "$RGW_DIR/rgw"
	RGW_FSID=$(cat /proc/sys/kernel/random/uuid)
	RGW_MON_PORT=$(free_port)
	RGW_PORT=$(free_port)
	make_ca "$RGW_DIR" ca
	make_certificate "$RGW_DIR" server DNS:localhost,DNS:*.localhost,IP:127.0.0.1 2 ca
	rgw_config "$RGW_DIR"
	c="-c $RGW_DIR/ceph.conf"
	monmaptool --create --clobber --fsid "$RGW_FSID" \
		--addv a "[v2:127.0.0.1:$RGW_MON_PORT]" "$RGW_DIR/monmap" > /dev/null
	# shellcheck disable=SC2086 # words
	ceph-mon $c --mkfs -i a --monmap "$RGW_DIR/monmap" > "$RGW_DIR/mkfs.log" 2>&1
	# shellcheck disable=SC2086
	rgw_spawn ceph-mon $c -f -i a
	uuid=$(cat /proc/sys/kernel/random/uuid)
	rgw_ceph osd new "$uuid" > /dev/null 2>> "$RGW_DIR/spawn.log" || return 1
	# shellcheck disable=SC2086
	ceph-osd $c -i 0 --mkfs --osd-uuid "$uuid" > /dev/null 2>> "$RGW_DIR/spawn.log" ||
		return 1
	# shellcheck disable=SC2086
	rgw_spawn ceph-osd $c -f -i 0
	# shellcheck disable=SC2086
	rgw_spawn radosgw $c -f -n client.admin
	wait_for 60 rgw_answers
}

# Ends what was started here, by the ids that were remembered.
rgw_stop() {
	for pid in $RGW_PIDS; do
		kill -9 "$pid" 2> /dev/null || :
	done
	for pid in $RGW_PIDS; do
		wait "$pid" 2> /dev/null || :
	done
	RGW_PIDS=
}
