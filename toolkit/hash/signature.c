/* hash --signature: a file's signature by a key or by the trusted keys of a directory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/hash/hash.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/sums.h"
#include "toolkit/lib/trust.h"

static int load_trust(const struct options *opt, struct trust *trust, struct err *err)
{
	struct public_key key;
	int fd, rc;

	if (opt->key) {
		if (public_key_load(AT_FDCWD, opt->key, &key, err) < 0)
			return -1;
		trust_only(&key, trust);
		return 0;
	}
	fd = open(opt->keys, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "opening %s", opt->keys);
	rc = trust_load(fd, trust, err);
	io_close(&fd);
	return rc < 0 ? err_prefix(err, "%s", opt->keys) : 0;
}

static int check(const struct options *opt, const char *path, struct err *err)
{
	static struct trust trust;
	uint8_t digest[SHA256_LEN], der[SIGNATURE_MAX];
	char hex[SHA256_HEX_SIZE];
	size_t len, by;
	int fd, rc;

	if (load_trust(opt, &trust, err) < 0 ||
	    signature_load(AT_FDCWD, opt->signature, der, &len, err) < 0)
		return -1;
	fd = io_open_direct(AT_FDCWD, path, true, err);
	if (fd < 0)
		return -1;
	rc = sums_hash_fd(fd, digest, err);
	io_close(&fd);
	if (rc < 0 || trust_check(&trust, digest, der, len, &by, err) < 0)
		return err_prefix(err, "%s", path);
	sha256_to_hex(trust.at[by].key.id, hex);
	cli_put_text(stdout, path);
	printf(": signed by key %s\n", hex);
	return 0;
}

int do_signature(const struct options *opt, const char *path)
{
	struct err err = { 0 };

	return check(opt, path, &err) < 0 ? err_report(&err, "hash") : 0;
}

const char *signature_contradiction(const struct options *opt, int arguments)
{
	if (!opt->signature)
		return opt->key || opt->keys ? "--key and --keys belong to --signature"
					     : NULL;
	if (!opt->key == !opt->keys)
		return "--signature needs one of --key and --keys";
	return arguments != 1 ? "--signature takes one file" : NULL;
}
