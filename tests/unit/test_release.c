/* What a release is made of before anything is sent: blocks, checksum, token, window. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/key_policy.h"
#include "image/pool.h"
#include "image/publish.h"
#include "image/share.h"
#include "image/snapshot_journal.h"
#include "tests/unit/check.h"
#include "toolkit/lib/crc32c.h"
#include "toolkit/lib/s3.h"

static const uint8_t *digest_of(unsigned char byte)
{
	static uint8_t digest[SHA256_LEN];

	memset(digest, byte, sizeof(digest));
	return digest;
}

static void zero_block(void)
{
	char text[S3_BASE64_SIZE];

	s3_base64(blocks_zero_digest(), text);
	/* As AWS's documentation of others has it. */
	CHECK_STR(text, "B4VNL+8pega6gWheZgwzLeNtXRjVRpJ9MNqtbX/aFUE=");
}

/* SHA-256 of 32 times 0x01 and 32 times 0x02, by coreutils. */
static void linear_is_over_ascending_digests(void)
{
	struct blocks blocks = { 0 };
	struct err err = { 0 };
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX_SIZE];

	CHECK(blocks_add(&blocks, 3, digest_of(1), &err) == 0);
	CHECK(blocks_add(&blocks, 700, digest_of(2), &err) == 0);
	blocks_linear(&blocks, digest);
	sha256_to_hex(digest, hex);
	CHECK_STR(hex,
		  "f818afd37a6dc3bc92fb44731011277006db4efa6e9023cd7468c02335d22a4d");
	CHECK(blocks_add(&blocks, 700, digest_of(2), &err) < 0);
	CHECK(blocks_add(&blocks, 4, digest_of(2), &err) < 0);
	blocks_free(&blocks);
}

static void changes_against_a_parent(void)
{
	struct blocks now = { .gib = 1 }, parent = { .gib = 1 }, changes = { 0 };
	struct err err = { 0 };

	blocks_add(&now, 1, digest_of(1), &err); /* the same */
	blocks_add(&now, 2, digest_of(2), &err); /* differs */
	blocks_add(&now, 5, digest_of(5), &err); /* new */
	blocks_add(&parent, 1, digest_of(1), &err);
	blocks_add(&parent, 2, digest_of(9), &err);
	blocks_add(&parent, 3, digest_of(3), &err);	    /* gone */
	blocks_add(&parent, 4, blocks_zero_digest(), &err); /* zero as before */
	CHECK(blocks_changes(&now, &parent, &changes, &err) == 0);
	CHECK(changes.count == 3);
	CHECK(changes.at[0].index == 2 && changes.at[1].index == 3 &&
	      changes.at[2].index == 5);
	CHECK(memcmp(changes.at[1].digest, blocks_zero_digest(), SHA256_LEN) == 0);
	CHECK(blocks_find(&changes, 5) && !blocks_find(&changes, 4));
	blocks_free(&changes);
	CHECK(blocks_changes(&now, NULL, &changes, &err) == 0 && changes.count == 3);
	blocks_free(&changes);
	blocks_free(&now);
	blocks_free(&parent);
}

/* A file with a hole, a block of zeros, data, and a tail. */
static void scan_finds_what_is_not_zero(void)
{
	struct blocks blocks = { 0 };
	struct err err = { 0 };
	FILE *file = tmpfile();
	int fd = fileno(file);
	unsigned char *data = calloc(1, BLOCKS_BYTES);
	uint8_t digest[SHA256_LEN];

	CHECK(pwrite(fd, data, BLOCKS_BYTES, 5 * BLOCKS_BYTES) == BLOCKS_BYTES);
	CHECK(pwrite(fd, "x", 1, 9 * BLOCKS_BYTES + 7) == 1);
	CHECK(pwrite(fd, "tail", 4, 11 * BLOCKS_BYTES) == 4);
	CHECK(blocks_scan(fd, &blocks, NULL, NULL, NULL, &err) == 0);
	CHECK(blocks.count == 2 && blocks.at[0].index == 9 && blocks.at[1].index == 11);
	CHECK(blocks.gib == 1 && blocks.image_bytes == 11 * BLOCKS_BYTES + 4);
	memcpy(data, "tail", 4);
	sha256(data, BLOCKS_BYTES, digest);
	CHECK(memcmp(digest, blocks.at[1].digest, SHA256_LEN) == 0);
	memset(data, 0, BLOCKS_BYTES);
	CHECK(blocks_read(fd, blocks.image_bytes, 11, data, &err) == 0 &&
	      memcmp(data, "tail\0\0", 6) == 0);
	CHECK(ftruncate(fd, 100) == 0);
	CHECK(blocks_read(fd, blocks.image_bytes, 11, data, &err) < 0);
	blocks_free(&blocks);
	free(data);
	fclose(file);
}

static void token_is_of_every_parameter(void)
{
	struct publish_plan plan = { .gib = 1, .image_hex = "aa" };
	struct publish_request request = { .aws = { .region = "eu-west-1" } }, other;
	char first[SHA256_HEX_SIZE], token[SHA256_HEX_SIZE];

	publish_token(&request, &plan, first);
	CHECK(strlen(first) == 64);
	publish_token(&request, &plan, token);
	CHECK_STR(token, first);
#define OTHER(change)                                                                    \
	do {                                                                             \
		other = request;                                                         \
		other.change;                                                            \
		publish_token(&other, &plan, token);                                     \
		CHECK(strcmp(token, first) != 0);                                        \
	} while (0)
	OTHER(aws.region = "eu-west-2");
	OTHER(kms_key = "k");
	OTHER(parent = "k");
	OTHER(description = "k");
	OTHER(salt = "k");
	OTHER(timeout_min = 10);
	plan.gib = 2;
	publish_token(&request, &plan, token);
	CHECK(strcmp(token, first) != 0);
	/* The same text in another field is another token. */
	request.salt = "k";
	publish_token(&request, &plan, first);
	request.salt = NULL;
	request.description = "k";
	publish_token(&request, &plan, token);
	CHECK(strcmp(token, first) != 0);
}

static void window_opens_and_halves(void)
{
	struct window_aimd window;

	window_aimd_init(&window, 4, 32);
	for (int i = 0; i < 100; i++)
		window_aimd_more(&window);
	CHECK(window.size > 31.9 && window.size < 32.1);
	window_aimd_less(&window, 1000);
	CHECK(window.size > 15.9 && window.size < 16.1);
	/* Of the same moment: one word. */
	window_aimd_less(&window, 2000);
	CHECK(window.size > 15.9);
	window_aimd_less(&window, 1000 + 200000000);
	CHECK(window.size > 7.9 && window.size < 8.1);
	window_aimd_more(&window);
	CHECK(window.size > 8.1 && window.size < 8.2);
	for (int i = 0; i < 20; i++)
		window_aimd_less(&window, 1000 + (i + 2) * 200000000LL);
	CHECK(window.size > 0.9 && window.size < 1.1);
}

static size_t line(char *text, const char *what)
{
	return (size_t)sprintf(text, "%s %08x\n", what, crc32c(0, what, strlen(what)));
}

static void journal_lines(void)
{
	static const char head[] =
		"fvol-publish 1 "
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
		"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb 12";
	struct snapshot_progress progress;
	struct err err = { 0 };
	char text[1024];
	size_t len = line(text, head);

	len += line(text + len, "snapshot snap-0123456789abcdef0");
	len += line(text + len, "put 7");
	CHECK(snapshot_journal_parse(text, len, &progress, &err) == 0);
	CHECK(progress.n_put == 1 && progress.put[0] == 7 && progress.count == 12 &&
	      progress.good_bytes == len);
	CHECK_STR(progress.snapshot, "snap-0123456789abcdef0");
	snapshot_progress_free(&progress);
	/* Torn. */
	CHECK(snapshot_journal_parse(text, len - 3, &progress, &err) == 0 &&
	      progress.n_put == 0 && progress.good_bytes < len);
	snapshot_progress_free(&progress);
	text[len - 12] = '8';
	CHECK(snapshot_journal_parse(text, len, &progress, &err) < 0);
	/* A block before the snapshot. */
	len = line(text, head);
	len += line(text + len, "put 7");
	CHECK(snapshot_journal_parse(text, len, &progress, &err) < 0);
}

static size_t missing(const char *policy)
{
	struct accounts accounts = { 0 }, lacks = { 0 };
	struct err err = { 0 };
	size_t n;

	accounts_add(&accounts, "222222222222", &err);
	if (key_policy_missing(policy, strlen(policy), "eu-west-1", &accounts, &lacks,
			       &err) < 0)
		n = 99;
	else
		n = lacks.count;
	accounts_free(&accounts);
	accounts_free(&lacks);
	return n;
}

#define STATEMENT(effect, principal, action, more)                                       \
	"{\"Effect\":\"" effect "\",\"Principal\":" principal ",\"Action\":" action      \
	",\"Resource\":\"*\"" more "}"
#define THEM "{\"AWS\":\"arn:aws:iam::222222222222:root\"}"

static void key_policy_lets_accounts_use_it(void)
{
	CHECK(missing("{\"Statement\":" STATEMENT("Allow", THEM, "\"kms:*\"", "") "}") ==
	      0);
	CHECK(missing("{\"Statement\":[" STATEMENT(
		      "Allow", "{\"AWS\":[\"222222222222\"]}", "\"*\"", "") "]}") == 0);
	CHECK(missing("{\"Statement\":[" STATEMENT("Allow", THEM, "\"kms:Decrypt\"",
						   "") "]}") == 1);
	CHECK(missing("{\"Statement\":[" STATEMENT(
		      "Allow", "{\"AWS\":\"arn:aws:iam::222222222222:role/x\"}",
		      "\"kms:*\"", "") "]}") == 1);
	/* A condition that is not understood is no permission. */
	CHECK(missing("{\"Statement\":[" STATEMENT(
		      "Allow", THEM, "\"kms:*\"",
		      ",\"Condition\":{\"Bool\":{\"aws:SecureTransport\":\"true\"}}") "]}") ==
	      1);
	CHECK(missing("{\"Statement\":[" STATEMENT("Allow", THEM, "\"kms:*\"",
						   "") "," STATEMENT("Deny", "\"*\"",
								     "\"kms:Decrypt\"",
								     "") "]}") == 1);
	CHECK(missing("{\"Statement\":[" STATEMENT(
		      "Allow", THEM,
		      "[\"kms:Encrypt\",\"kms:Decrypt\",\"kms:ReEncrypt*\","
		      "\"kms:GenerateDataKey*\",\"kms:DescribeKey\"]",
		      "") "," STATEMENT("Allow", THEM, "\"kms:CreateGrant\"",
					",\"Condition\":{\"Bool\":{"
					"\"kms:GrantIsForAWSResource\":\"true\"}}") "]}") ==
	      0);
	/* As cloudformation/security-account.json has it. */
	CHECK(missing("{\"Statement\":[" STATEMENT(
		      "Allow", "{\"AWS\":[\"222222222222\"]}", "\"kms:*\"",
		      ",\"Condition\":{\"StringLike\":{\"kms:ViaService\":"
		      "\"ec2.*.amazonaws.com\"}}") "]}") == 0);
	CHECK(missing("{\"Statement\":[" STATEMENT(
		      "Allow", THEM, "\"kms:*\"",
		      ",\"Condition\":{\"StringEquals\":{\"kms:ViaService\":"
		      "\"ec2.us-east-1.amazonaws.com\"}}") "]}") == 1);
	CHECK(missing("{\"Statement\":[" STATEMENT(
		      "Allow", THEM, "\"kms:*\"",
		      ",\"Condition\":{\"StringLike\":{\"kms:ViaService\":"
		      "\"ec2.*.amazonaws.com\",\"aws:PrincipalOrgID\":\"o\"}}") "]}") ==
	      1);
	CHECK(missing("[]") == 99);
	CHECK(missing("{\"Statement\":[]}") == 99);
}

static void our_statements_are_enough(void)
{
	static const char policy[] =
		"{\"Version\":\"2012-10-17\",\"Statement\":[" STATEMENT(
			"Allow", "{\"AWS\":\"arn:aws:iam::111122223333:root\"}",
			"\"kms:*\"", "") "]}";
	struct accounts accounts = { 0 };
	struct err err = { 0 };
	size_t len = 0, again = 0;
	char *text, *twice;

	accounts_add(&accounts, "222222222222", &err);
	text = key_policy_with(policy, strlen(policy), "aws", &accounts, &len, &err);
	CHECK(text && missing(text) == 0);
	/* Done again it is the same. */
	twice = key_policy_with(text, len, "aws", &accounts, &again, &err);
	CHECK_STR(twice, text);
	free(twice);
	free(text);
	accounts_free(&accounts);
}

static void accounts_in_a_file(void)
{
	struct accounts accounts = { 0 };
	struct err err = { 0 };

	CHECK(share_accounts_parse(
		      "# who\n222222222222 # a\r\n111111111111,222222222222\n", &accounts,
		      &err) == 0);
	CHECK(accounts.count == 2 && strcmp(accounts.at[0], "111111111111") == 0);
	CHECK(share_accounts_parse("1111111111111", &accounts, &err) < 0);
	CHECK(share_accounts_parse("11111111111x", &accounts, &err) < 0);
	accounts_free(&accounts);
}

static void errors_of_three_services(void)
{
	static const char ec2[] =
		"<?xml version=\"1.0\"?><Response><Errors><Error><Code>"
		"RequestLimitExceeded</Code><Message>Slow</Message></Error>"
		"</Errors></Response>";
	static const char kms[] = "{\"__type\":\"com.amazonaws.kms#NotFoundException\","
				  "\"message\":\"no key\"}";
	char code[80], message[256];

	aws_read_error(ec2, strlen(ec2), NULL, code, message);
	CHECK_STR(code, "RequestLimitExceeded");
	CHECK_STR(message, "Slow");
	aws_read_error(kms, strlen(kms), NULL, code, message);
	CHECK_STR(code, "NotFoundException");
	CHECK_STR(message, "no key");
	aws_read_error("{}", 2, "ThrottlingException:http://x/", code, message);
	CHECK_STR(code, "ThrottlingException");
	CHECK(aws_is_throttling(400, code) && aws_is_throttling(402, "") &&
	      !aws_is_throttling(400, "ValidationException"));
	aws_read_error("<x", 2, "\033[31m", code, message);
	CHECK_STR(code, "");
}

int main(void)
{
	RUN(zero_block);
	RUN(linear_is_over_ascending_digests);
	RUN(changes_against_a_parent);
	RUN(scan_finds_what_is_not_zero);
	RUN(token_is_of_every_parameter);
	RUN(window_opens_and_halves);
	RUN(journal_lines);
	RUN(key_policy_lets_accounts_use_it);
	RUN(our_statements_are_enough);
	RUN(accounts_in_a_file);
	RUN(errors_of_three_services);
	return DONE();
}
