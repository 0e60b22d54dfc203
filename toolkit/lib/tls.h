/*
 * What the TLS library under libcurl trusts and accepts: the parsed CA bundle, shared by
 * all connections (libcurl would parse it for each, half a megabyte every time), and a
 * policy stricter than libcurl's own. http.c hands each new connection's settings here.
 */
#ifndef FVOL_TLS_H
#define FVOL_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

/* Parsed CA certificates; never changed after tls_roots_new(), so threads may share. */
struct tls_roots;

/*
 * Parses a PEM bundle, pem[len_bytes] being a NUL. Certificates that the library cannot
 * read are left out; NULL, with err, when none remains or memory is short.
 */
struct tls_roots *tls_roots_new(const char *pem, size_t len_bytes, struct err *err);

/* Reads the bundle past the page cache, then as above. */
struct tls_roots *tls_roots_load(const char *path, struct err *err);

/* NULL is nothing to free. No connection may use them any more. */
void tls_roots_free(struct tls_roots *roots);

/*
 * Settles one connection before its handshake. ssl_config is the library's
 * (mbedtls_ssl_config). Trusts roots only (NULL: nobody), accepts SHA-256 and better, RSA
 * of 2048 bits and better, AES-GCM with forward secrecy. *why collects what was wrong
 * with the certificates; it must live as long as the connection.
 */
void tls_settle(void *ssl_config, struct tls_roots *roots, uint32_t *why);

/* What *why says of the server's certificate, to follow that word: "has expired …". */
const char *tls_reason(uint32_t why);

#endif
