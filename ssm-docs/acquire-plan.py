# How large the volume is and what it is called: arithmetic that Automation lacks. Calls
# nothing. Each refusal here is one before anything was made.
GIB = 1 << 30
# What gp3 takes: 16 TiB, 500 IOPS a GiB, 4 IOPS for each MiB/s.
LARGEST_GIB = 16384
# Beside the image: record, hashes, symbols, and what the file system keeps for itself.
BESIDE_BYTES = GIB
NAMES = 'fghijklmnop'  # /dev/sdf to /dev/sdp, which AWS recommends


def size_gib(memory_bytes, image_gib):
    """Returns the size in GiB: the image, all memory and 1/16 of it, rounded up."""
    need = memory_bytes + memory_bytes // 16 + BESIDE_BYTES
    return max(8, image_gib + -(-need // GIB))


def free_name(taken):
    """Returns a device name whose letter no other has, be it called sd or xvd."""
    letters = set()
    for name in taken:
        tail = name.rsplit('/', 1)[-1]
        for prefix in ('xvd', 'sd'):
            if tail.startswith(prefix):
                letters.add(tail[len(prefix):].rstrip('0123456789'))
                break
    for letter in NAMES:
        if letter not in letters:
            return '/dev/sd' + letter
    raise ValueError('every device name from /dev/sdf to /dev/sdp is taken')


def plan(events, context):
    if events['State'] != 'running':
        raise ValueError('the instance is ' + events['State'] + ', not running')
    if events['Ping'] != 'Online':
        raise ValueError('the SSM agent of the instance is ' + events['Ping'])
    if events['Platform'] != 'Linux':
        raise ValueError('the instance runs ' + events['Platform'] + ', not Linux')
    if events['SnapshotState'] != 'completed':
        raise ValueError('the release snapshot is ' + events['SnapshotState'])
    size = size_gib(int(events['MemoryMiB']) << 20, int(events['ImageGiB']))
    if size > LARGEST_GIB:
        raise ValueError('an image of the memory needs %d GiB, an ext4 volume has at most '
                         '%d: capture straight into S3' % (size, LARGEST_GIB))
    throughput = int(events['Throughput'])
    return {
        'SizeGiB': size,
        'Throughput': throughput,
        'Iops': max(3000, throughput * 4),
        'InitializationRate': int(events['InitializationRate']),
        'RetentionDays': int(events['RetentionDays']),
        'Share': 'no' if events['Account'] == events['SecurityAccount'] else 'yes',
        'Device': free_name(events['Devices']),
        'Redact': 'yes' if events['Triage'] == 'redact' else 'no',
    }
