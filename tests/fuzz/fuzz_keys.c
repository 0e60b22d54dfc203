#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/signature.h"
#include "toolkit/lib/trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Keys in PEM, and the list of revoked ones. A key that is read goes round. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1), pem[KEY_PEM_MAX];
	struct private_key private, private_again;
	struct public_key public, again;
	uint8_t id[SHA256_LEN];
	size_t pos = 0;
	struct err err;

	memcpy(text, data, len);
	text[len] = '\0';
	if (public_key_parse(text, len, &public, &err) == 0 &&
	    (public_key_pem(&public, pem, &err) < 0 ||
	     public_key_parse(pem, strlen(pem), &again, &err) < 0 ||
	     memcmp(&public, &again, sizeof(again)) != 0))
		abort();
	if (private_key_parse(text, len, &private, &err) == 0 &&
	    (private_key_pem(&private, pem, &err) < 0 ||
	     private_key_parse(pem, strlen(pem), &private_again, &err) < 0 ||
	     memcmp(&private, &private_again, sizeof(private)) != 0))
		abort();
	while (trust_next_revoked(text, len, &pos, id, &err) > 0)
		;
	free(text);
	return 0;
}
