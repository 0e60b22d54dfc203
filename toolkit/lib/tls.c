#include "toolkit/lib/tls.h"

#include <fcntl.h>
#include <stdlib.h>

#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>

#include "toolkit/lib/io.h"

/* Debian's bundle is 230 KB. */
#define BUNDLE_MAX_BYTES (8 * 1024 * 1024)

struct tls_roots {
	mbedtls_x509_crt chain;
};

struct tls_roots *tls_roots_new(const char *pem, size_t len_bytes, struct err *err)
{
	struct tls_roots *roots = calloc(1, sizeof(*roots));
	int rc;

	if (!roots) {
		err_set(err, ERR_FAILED, "no memory for the CA bundle");
		return NULL;
	}
	mbedtls_x509_crt_init(&roots->chain);
	/* TLS 1.3 keeps keys in this store; once for the process, safe to repeat. */
	if (psa_crypto_init() != PSA_SUCCESS) {
		err_set(err, ERR_FAILED,
			"the cryptographic library has no random numbers");
		goto fail;
	}
	/* The NUL counts for the parser: it is how it knows PEM. */
	rc = mbedtls_x509_crt_parse(&roots->chain, (const unsigned char *)pem,
				    len_bytes + 1);
	/* So many could not be parsed, when it is positive: the others are trusted. */
	if (rc < 0 || !roots->chain.raw.p) {
		err_set(err, ERR_FAILED, "the CA bundle holds no certificate in PEM");
		goto fail;
	}
	return roots;
fail:
	tls_roots_free(roots);
	return NULL;
}

struct tls_roots *tls_roots_load(const char *path, struct err *err)
{
	struct tls_roots *roots = NULL;
	char *pem = NULL;
	size_t len = 0;
	int fd = io_open_direct(AT_FDCWD, path, true, err);

	if (fd >= 0)
		pem = io_read_direct(fd, BUNDLE_MAX_BYTES, &len, err);
	if (pem)
		roots = tls_roots_new(pem, len, err);
	if (!roots)
		err_prefix(err, "reading the CA bundle %s", path);
	free(pem);
	io_close(&fd);
	return roots;
}

void tls_roots_free(struct tls_roots *roots)
{
	if (!roots)
		return;
	mbedtls_x509_crt_free(&roots->chain);
	free(roots);
}

/* Notes what is wrong and leaves the judgement as it is: any flag fails the handshake. */
static int note_flags(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	uint32_t *why = arg;

	(void)crt;
	(void)depth;
	*why |= *flags;
	return 0;
}

void tls_settle(void *ssl_config, struct tls_roots *roots, uint32_t *why)
{
	/* AES-128 first: a quarter faster, and no weaker link of this chain. */
	static const int suites[] = {
		MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
		MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
		MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		0,
	};
	mbedtls_ssl_config *config = ssl_config;

	*why = 0;
	mbedtls_ssl_conf_ciphersuites(config, suites);
	mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
	/* libcurl's own profile lets SHA-1 and RSA of 1024 bits pass. */
	mbedtls_ssl_conf_cert_profile(config, &mbedtls_x509_crt_profile_default);
	mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_verify(config, note_flags, why);
	mbedtls_ssl_conf_ca_chain(config, roots ? &roots->chain : NULL, NULL);
}

const char *tls_reason(uint32_t why)
{
	/* The first that holds: a certificate of nobody's proves no name and no date. */
	static const struct {
		uint32_t flag;
		const char *text;
	} reasons[] = {
		{ MBEDTLS_X509_BADCERT_NOT_TRUSTED,
		  "is vouched for by no CA of the bundle" },
		{ MBEDTLS_X509_BADCERT_EXPIRED, "has expired, by this machine's clock" },
		{ MBEDTLS_X509_BADCERT_FUTURE,
		  "is not yet valid, by this machine's clock" },
		{ MBEDTLS_X509_BADCERT_CN_MISMATCH, "is for another host name" },
		{ MBEDTLS_X509_BADCERT_BAD_MD, "is signed with a hash that is too weak" },
		{ MBEDTLS_X509_BADCERT_BAD_PK,
		  "has a key of a kind that is not accepted" },
		{ MBEDTLS_X509_BADCERT_BAD_KEY, "has a key that is too short" },
		{ MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
			  MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
		  "is not for a server" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (why & reasons[i].flag)
			return reasons[i].text;
	return "does not pass";
}
