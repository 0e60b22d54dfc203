/* What upload reads of others: keys, lists of URLs, records of parts, journals. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/credentials.h"
#include "toolkit/lib/transfer_log.h"
#include "toolkit/upload/presigned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_list(const char *text, size_t len, struct err *err)
{
	struct url_list list;
	char url[S3_URL_SIZE];

	if (url_list_read(&list, text, len, err) == 0) {
		if (url_list_url(&list, 0, url, err) == 0 ||
		    url_list_url(&list, list.n_parts + 1, url, err) == 0)
			abort();
		if (url_list_url(&list, list.n_parts, url, err) == 0 &&
		    strncmp(url, "https://", 8) != 0)
			abort();
	}
	url_list_free(&list);
}

static void try_record(const char *text, size_t len, struct err *err)
{
	struct parts_record record;
	uint64_t total = 0;

	if (parts_record_read(&record, text, len, err) < 0)
		return;
	for (size_t i = 0; i < record.n_parts; i++)
		total += record.parts[i].len_bytes;
	if (total != record.len_bytes)
		abort();
	free(record.parts);
}

static void try_journal(const char *text, struct err *err)
{
	static struct s3_part parts[S3_PARTS_MAX];
	struct transfer_log log = { .journal.fd = -1 };

	memset(parts, 0, sizeof(parts));
	transfer_log_read(&log, text, "bucket", "key", parts, err);
	for (uint32_t i = 0; i < S3_PARTS_MAX; i++)
		if (parts[i].number && (parts[i].number != i + 1 || !parts[i].etag[0]))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct credentials_keys keys;
	struct err err = { 0 };
	char *text = malloc(len + 1);

	memcpy(text, data, len);
	text[len] = '\0';
	credentials_parse_json(text, len, true, &keys, &err);
	credentials_parse_file(text, "default", &keys, &err);
	try_list(text, len, &err);
	try_record(text, len, &err);
	try_journal(text, &err);
	free(text);
	return 0;
}
