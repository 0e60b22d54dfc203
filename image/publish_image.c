/* Is it an image that may be published? */
#include <stdlib.h>
#include <string.h>

#include "image/publish.h"
#include "image/sign.h"
#include "image/verify.h"

int publish_check_image(const struct publish_request *request, struct publish_plan *plan,
			struct err *err)
{
	struct verify_request verify = { .path = request->image, .report = stderr };
	struct verify_result verified = { 0 };
	struct trust *trust = NULL;
	int rc = -1;

	if (!request->unsigned_ok) {
		if (!request->key && !request->keys)
			return err_set(err, ERR_USAGE,
				       "whose signature must the image have? --key "
				       "PUBLIC.pem or --keys DIR; or say --unsigned");
		trust = calloc(1, sizeof(*trust));
		if (!trust)
			return err_set(err, ERR_FAILED, "out of memory");
		if (sign_load_trust(request->key, request->keys, trust, err) < 0)
			goto out;
		verify.trust = trust;
	}
	if (verify_volume(&verify, &verified, err) < 0)
		goto out;
	if (verified.needs_recovery) {
		err_set(err, ERR_NO, "%s was mounted and not unmounted: no release",
			request->image);
		goto out;
	}
	memcpy(plan->manifest_sha256, verified.manifest_sha256, SHA256_LEN);
	plan->is_signed = verified.is_signed;
	if (verified.is_signed)
		sha256_to_hex(verified.key_id, plan->key_hex);
	rc = 0;
out:
	free(trust);
	return rc;
}
