#include <stdlib.h>

#include "tests/unit/check.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/lib/sums.h"

/* FIPS 180-4 examples and a million 'a'. */
static void sha256_known_answers(void)
{
	static const struct {
		const char *text, *hex;
	} known[] = {
		{ "",
		  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc",
		  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX_SIZE];
	struct sha256 ctx;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		sha256(known[i].text, strlen(known[i].text), digest);
		sha256_to_hex(digest, hex);
		CHECK_STR(hex, known[i].hex);
	}
	sha256_init(&ctx);
	for (int i = 0; i < 1000000; i++)
		sha256_update(&ctx, "a", 1);
	sha256_final(&ctx, digest);
	sha256_to_hex(digest, hex);
	CHECK_STR(hex,
		  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void hex_is_exact(void)
{
	uint8_t digest[SHA256_LEN];
	char hex[] = "BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

	CHECK(sha256_from_hex(hex, digest) && digest[0] == 0xba && digest[31] == 0xad);
	hex[63] = 'g';
	CHECK(!sha256_from_hex(hex, digest));
	CHECK(!sha256_from_hex("ba78", digest));
	CHECK(!sha256_from_hex("", digest));
}

#define ZERO64 "0000000000000000000000000000000000000000000000000000000000000000"

static void sums_names_survive(void)
{
	static const char *const names[] = { "plain",	 "with blank", " leading",
					     "*star",	 "new\nline",  "back\\slash",
					     "cr\rhere", "\\n" };
	static char line[SUMS_LINE_MAX];
	static struct sums_entry entry;
	uint8_t digest[SHA256_LEN] = { 1, 2, 3 };
	struct err err = { 0 };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = sums_format(digest, names[i], line);
		size_t pos = 0, number = 0;

		CHECK(strchr(line, '\n') == line + len - 1);
		CHECK(sums_next(line, len, &pos, &number, &entry, &err) == 1);
		CHECK_STR(entry.name, names[i]);
		CHECK(memcmp(entry.digest, digest, sizeof(digest)) == 0);
		CHECK(sums_next(line, len, &pos, &number, &entry, &err) == 0);
	}
}

static void sums_reads_what_sha256sum_writes(void)
{
	static const char text[] =
		ZERO64 "  a\n\n" ZERO64 " *b\n\\" ZERO64 "  c\\nd\n" ZERO64 "  last";
	static struct sums_entry entry;
	size_t pos = 0, number = 0;
	struct err err = { 0 };
	static const char *const names[] = { "a", "b", "c\nd", "last" };

	for (size_t i = 0; i < 4; i++) {
		CHECK(sums_next(text, strlen(text), &pos, &number, &entry, &err) == 1);
		CHECK_STR(entry.name, names[i]);
	}
	CHECK(sums_next(text, strlen(text), &pos, &number, &entry, &err) == 0);
}

static void sums_refuses_other_lines(void)
{
	static const char *const bad[] = { "hello",
					   ZERO64,
					   ZERO64 "  ",
					   ZERO64 " a",
					   ZERO64 "\t a",
					   "\\" ZERO64 "  a\\x",
					   "\\" ZERO64 "  a\\",
					   "0" ZERO64 "  a" };
	static struct sums_entry entry;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t pos = 0, number = 0;
		struct err err = { 0 };

		CHECK(sums_next(bad[i], strlen(bad[i]), &pos, &number, &entry, &err) < 0);
		CHECK(strstr(err.text, "line 1"));
	}
}

static void errors_read_as_a_sentence(void)
{
	struct err err = { 0 };

	CHECK(err_sys(&err, 13, "opening %s", "kcore") == -1);
	CHECK(err.kind == ERR_REFUSED);
	err_prefix(&err, "host %d", 7);
	CHECK_STR(err.text, "host 7: opening kcore: Permission denied");
	CHECK(err_set(&err, ERR_NO, "%s differs", "x") == -1 && err.kind == ERR_NO);
	err_sys(&err, 5, "%s", "x");
	CHECK(err.kind == ERR_FAILED);
}

static void long_errors_are_cut(void)
{
	struct err err = { 0 };
	char text[2000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_sys(&err, 5, "%s", text);
	err_prefix(&err, "%s", text);
	CHECK(strlen(err.text) == sizeof(err.text) - 1);
}

static void json_goes_round(void)
{
	struct json *doc = json_new();
	struct json_node *list = json_add_array(doc, json_root(doc), "list");
	struct err err = { 0 };
	struct json_read *read;
	const struct json_value *top;
	size_t len;
	uint64_t value;
	char *text;

	json_add_str(doc, json_root(doc), "name", "a\"b\n\x01\xff\xc3\xa4\xed\xa0\x80");
	json_add_u64(doc, json_root(doc), "big", UINT64_MAX);
	json_add_bool(doc, json_root(doc), "yes", true);
	json_add_u64(doc, json_add_object(doc, list, NULL), "n", 1);
	text = json_text(doc, false, &len, &err);
	CHECK_STR(text,
		  "{\"list\":[{\"n\":1}],\"name\":\"a\\\"b\\n\\u0001\xef\xbf\xbd\xc3\xa4"
		  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\",\"big\":18446744073709551615,"
		  "\"yes\":true}");
	read = json_parse(text, len, &err);
	CHECK(read != NULL);
	top = json_top(read);
	CHECK(json_u64(json_get(top, "big"), &value) && value == UINT64_MAX);
	CHECK(json_len(json_get(top, "list")) == 1 && json_true(json_get(top, "yes")));
	CHECK(!json_u64(json_get(top, "name"), &value) &&
	      !json_str(json_get(top, "none")));
	json_read_free(read);
	free(text);
	json_free(doc);
	CHECK(!json_parse("{\"a\":", 5, &err) && strstr(err.text, "byte 5"));
}

/* What does not fit into the caller's memory comes from the heap. */
static void json_in_memory_of_the_caller(void)
{
	static _Alignas(16) unsigned char memory[65536];

	for (size_t len = 0; len <= sizeof(memory); len = len ? len * 2 : 64) {
		struct json *doc = json_new_in(memory, len);
		struct json_node *list = json_add_array(doc, json_root(doc), "list");
		struct err err = { 0 };
		size_t heap_bytes, kept_bytes;
		const char *kept;
		char *heap;
		bool inside;

		for (uint64_t i = 0; i < 400; i++)
			json_add_u64(doc, list, NULL, i * 1000003);
		heap = json_text(doc, true, &heap_bytes, &err);
		kept = json_text_kept(doc, true, &kept_bytes, &err);
		CHECK(heap && kept && heap_bytes == kept_bytes &&
		      memcmp(heap, kept, heap_bytes) == 0);
		inside = (const unsigned char *)kept >= memory &&
			 (const unsigned char *)kept < memory + sizeof(memory);
		if (len == 0 || len == sizeof(memory))
			CHECK(inside == (len > 0));
		free(heap);
		json_free(doc);
	}
}

int main(void)
{
	RUN(sha256_known_answers);
	RUN(hex_is_exact);
	RUN(sums_names_survive);
	RUN(sums_reads_what_sha256sum_writes);
	RUN(sums_refuses_other_lines);
	RUN(errors_read_as_a_sentence);
	RUN(long_errors_are_cut);
	RUN(json_goes_round);
	RUN(json_in_memory_of_the_caller);
	return DONE();
}
