/* Base64 (RFC 4648, clause 4), by the TLS library. */
#ifndef FVOL_BASE64_H
#define FVOL_BASE64_H

#include <stddef.h>
#include <sys/types.h>

/* Room for the text of len bytes, with its NUL. */
#define BASE64_SIZE(len_bytes) (((len_bytes) + 2) / 3 * 4 + 1)

/* Writes the text and a NUL into out, of BASE64_SIZE(len_bytes). Returns its length. */
size_t base64_encode(const void *data, size_t len_bytes, char *out);

/* Returns the number of bytes, or -1 when text is no base64 or they are more than room.
 */
ssize_t base64_decode(const char *text, size_t text_len, void *out, size_t room);

#endif
