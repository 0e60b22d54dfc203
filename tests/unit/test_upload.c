/* Rooms below upload that need no network: keys, journal, names and numbers of S3. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "toolkit/lib/credentials.h"
#include "toolkit/lib/journal.h"
#include "toolkit/lib/s3_call.h"
#include "toolkit/lib/transfer.h"
#include "toolkit/lib/transfer_log.h"
#include "toolkit/lib/xml.h"

#define IMDS_ANSWER                                                                      \
	"{\"Code\":\"Success\",\"AccessKeyId\":\"ASIAEXAMPLE\",\"SecretAccessKey\":"     \
	"\"verysecret\",\"Token\":\"tok/en==\",\"Expiration\":\"2026-11-21T16:30:00Z\"}"

static void imds_answers(void)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{\"Code\":\"Failed\"}",
		"{\"Code\":\"Success\",\"AccessKeyId\":\"A\"}",
		"{\"Code\":\"Success\",\"AccessKeyId\":\"A\\nB\",\"SecretAccessKey\":"
		"\"verysecret\",\"Token\":\"t\",\"Expiration\":\"2026-11-21T16:30:00Z\"}",
		"{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":"
		"\"verysecret\",\"Token\":\"t\",\"Expiration\":\"soon\"}",
	};
	struct credentials_keys keys;
	struct err err = { 0 };

	CHECK(credentials_parse_json(IMDS_ANSWER, strlen(IMDS_ANSWER), true, &keys,
				     &err) == 0);
	CHECK_STR(keys.access_key, "ASIAEXAMPLE");
	CHECK_STR(keys.secret_key, "verysecret");
	CHECK_STR(keys.token, "tok/en==");
	CHECK(keys.expires == 1795278600);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err.text[0] = '\0';
		CHECK(credentials_parse_json(bad[i], strlen(bad[i]), true, &keys, &err) <
		      0);
		CHECK(err.text[0] && !strstr(err.text, "verysecret"));
		CHECK(!keys.access_key[0] && !keys.secret_key[0]);
	}
}

static void credentials_files(void)
{
	static const char file[] = "# a comment\n[default]\naws_access_key_id=A\n"
				   "aws_secret_access_key = s/e+c = ret \r\n\n[other]\n"
				   "  aws_access_key_id = B\naws_secret_access_key=b\n"
				   "aws_session_token=t\nregion = x\n[half]\n"
				   "aws_access_key_id=C\n";
	struct credentials_keys keys;
	struct err err = { 0 };

	CHECK(credentials_parse_file(file, "other", &keys, &err) == 0);
	CHECK_STR(keys.access_key, "B");
	CHECK_STR(keys.token, "t");
	/* A blank inside a value is no key. */
	CHECK(credentials_parse_file(file, "default", &keys, &err) < 0);
	CHECK(!strstr(err.text, "ret"));
	CHECK(credentials_parse_file(file, "half", &keys, &err) < 0);
	CHECK(credentials_parse_file(file, "none", &keys, &err) < 0);
	CHECK(credentials_parse_file("", "default", &keys, &err) < 0);
}

static void etags_and_checksums(void)
{
	static const uint8_t zero[SHA256_LEN];
	struct s3_part parts[2] = { { .number = 1 }, { .number = 2 } };
	uint8_t digest[SHA256_LEN];
	char etag[S3_ETAG_SIZE], text[S3_BASE64_SIZE + 8];

	CHECK(s3_etag("\"0123456789abcdef-2\"", etag));
	CHECK_STR(etag, "0123456789abcdef-2");
	CHECK(!s3_etag("\"\"", etag) && !s3_etag("a\"b", etag) && !s3_etag("", etag));
	CHECK(!s3_etag("<b>", etag));
	sha256("abc", 3, digest);
	s3_base64(digest, text);
	CHECK_STR(text, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
	CHECK(s3_from_base64(text, digest) && digest[0] == 0xba && digest[31] == 0xad);
	text[3] = '*';
	CHECK(!s3_from_base64(text, digest) && !s3_from_base64("", digest));
	memcpy(parts[0].sha256, zero, SHA256_LEN);
	memcpy(parts[1].sha256, zero, SHA256_LEN);
	s3_composite(parts, 2, text);
	/* head -c 64 /dev/zero | openssl sha256 -binary | base64 */
	CHECK_STR(text, "9aX9QtFqIDAnmO9u0wmXm0MAPSMg2fDo6pgxqSdZ+0s=-2");
}

static void part_sizes(void)
{
	static const uint64_t sizes[] = { 0, 1, 83886080000, 83886080001, 5ULL << 40 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t part = transfer_part_bytes(sizes[i]);

		CHECK(part >= S3_PART_MIN_BYTES && part <= S3_PART_MAX_BYTES);
		CHECK(part % 4096 == 0 && part * S3_PARTS_MAX >= sizes[i]);
	}
	CHECK(transfer_part_bytes(1) == 8 << 20);
	CHECK(transfer_part_bytes(TRANSFER_UNKNOWN) == 16 << 20);
}

static char dir[] = "/tmp/test_upload.XXXXXX";

static void journals_survive(void)
{
	char path[64], line[JOURNAL_LINE_MAX + 2], *text;
	struct journal journal, second;
	struct err err = { 0 };
	size_t want = 0;

	snprintf(path, sizeof(path), "%s/lines", dir);
	for (int run = 0; run < 3; run++) {
		CHECK(journal_open(&journal, path, &text, &err) == 0);
		CHECK(want ? text && strlen(text) == want : !text);
		free(text);
		/* Lines that end before, at and behind the end of a block. */
		for (size_t len = 1; len <= JOURNAL_LINE_MAX; len += 1333) {
			memset(line, 'a', len);
			line[len] = '\0';
			CHECK(journal_add(&journal, line, &err) == 0);
			want += len + 1;
		}
		memset(line, 'a', 95);
		line[95] = '\0';
		CHECK(journal_add(&journal, line, &err) == 0);
		want += 96;
		CHECK(journal_open(&second, path, &text, &err) < 0);
		CHECK(strstr(err.text, "in use"));
		journal_close(&journal);
	}
	memset(line, 'a', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	CHECK(journal_open(&journal, path, &text, &err) == 0);
	CHECK(journal_add(&journal, line, &err) < 0);
	CHECK(journal_add(&journal, "two\nlines", &err) < 0);
	free(text);
	journal_close(&journal);
	unlink(path);
	CHECK(symlink("/etc/passwd", path) == 0);
	CHECK(journal_open(&journal, path, &text, &err) < 0);
	unlink(path);
}

static void logs_go_round(void)
{
	struct s3_part *parts = calloc(S3_PARTS_MAX, sizeof(*parts));
	struct s3_part part = { .number = 10000, .len_bytes = 7, .etag = "abc" };
	struct s3_object object = { .len_bytes = 9, .etag = "def-2" };
	struct transfer_log log;
	struct err err = { 0 };
	char path[64];

	snprintf(path, sizeof(path), "%s/log", dir);
	memset(part.sha256, 0xab, SHA256_LEN);
	CHECK(transfer_log_open(&log, path, "b", "k \"\xc3\xa4\"", parts, &err) == 0);
	CHECK(!log.begun);
	CHECK(transfer_log_begin(&log, "b", "k \"\xc3\xa4\"", "0123", "up/load", 5 << 20,
				 &err) == 0);
	CHECK(transfer_log_part(&log, &part, &err) == 0);
	transfer_log_close(&log);
	CHECK(transfer_log_open(&log, path, "b", "k \"\xc3\xa4\"", parts, &err) == 0);
	CHECK(log.begun && !log.done && log.part_bytes == 5 << 20);
	CHECK_STR(log.upload_id, "up/load");
	CHECK(parts[9999].number == 10000 && parts[9999].hashed &&
	      memcmp(parts[9999].sha256, part.sha256, SHA256_LEN) == 0);
	CHECK_STR(parts[9999].etag, "abc");
	CHECK(transfer_log_done(&log, &object, "hash", &err) == 0);
	transfer_log_close(&log);
	CHECK(transfer_log_open(&log, path, "b", "other", parts, &err) < 0);
	CHECK(strstr(err.text, "another object"));
	CHECK(transfer_log_open(&log, path, "b", "k \"\xc3\xa4\"", parts, &err) == 0);
	CHECK(log.done && log.object.len_bytes == 9);
	transfer_log_close(&log);
	unlink(path);
	free(parts);
}

static int collect(void *arg, const char *path, const char *text, struct err *err)
{
	char *to = arg;

	(void)err;
	snprintf(to + strlen(to), 512 - strlen(to), "%s=%s;", path, text);
	return 0;
}

static void xml_is_bounded(void)
{
	static char deep[4096], wide[XML_TEXT_SIZE + 64];
	char seen[512] = "";
	struct err err = { 0 };

	CHECK(xml_read("<a><b>1&amp;2</b><b/></a>", 25, collect, seen, &err) == 0);
	CHECK_STR(seen, "a/b=1&2;a/b=;a=;");
	for (int i = 0; i < XML_DEPTH_MAX + 1; i++)
		strcat(deep, "<a>");
	CHECK(xml_read(deep, strlen(deep), collect, seen, &err) < 0);
	CHECK(strstr(err.text, "too deep"));
	strcpy(wide, "<a>");
	memset(wide + 3, 'x', XML_TEXT_SIZE);
	CHECK(xml_read(wide, strlen(wide), collect, seen, &err) < 0);
	CHECK(strstr(err.text, "too long"));
	CHECK(xml_read("<!DOCTYPE a><a/>", 16, collect, seen, &err) < 0);
	CHECK(strstr(err.text, "document type"));
	CHECK(xml_read("", 0, collect, seen, &err) < 0);
}

int main(void)
{
	if (!mkdtemp(dir))
		return 5;
	RUN(imds_answers);
	RUN(credentials_files);
	RUN(etags_and_checksums);
	RUN(part_sizes);
	RUN(journals_survive);
	RUN(logs_go_round);
	RUN(xml_is_bounded);
	rmdir(dir);
	return DONE();
}
