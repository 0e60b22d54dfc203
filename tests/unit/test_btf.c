/*
 * BTF and the symbol files made of it. tests/unit/data/btf/small.c says what is in
 * small.btf, which pahole made; what must come out is written down here by hand.
 */
#include <stdlib.h>

#include "tests/unit/check.h"
#include "toolkit/lib/btf.h"
#include "toolkit/lib/isf.h"
#include "toolkit/lib/isf_types.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/symtab.h"

static unsigned char small[8192];
static size_t small_len;

struct text {
	char *data;
	size_t len;
};

static void load_small(void)
{
	FILE *file = fopen("tests/unit/data/btf/small.btf", "rb");

	small_len = file ? fread(small, 1, sizeof(small), file) : 0;
	if (file)
		fclose(file);
}

static int keep(void *context, const void *data, size_t len, struct err *err)
{
	struct text *text = context;

	(void)err;
	text->data = realloc(text->data, text->len + len);
	memcpy(text->data + text->len, data, len);
	text->len += len;
	return 0;
}

static int refuse(void *context, const void *data, size_t len, struct err *err)
{
	(void)context;
	(void)data;
	(void)len;
	return err_set(err, ERR_FAILED, "the disk is full");
}

#define BANNER "Linux version 6.1.0 (a@b) (gcc) #1 SMP now\n"

static struct json_read *make_isf(bool all, struct isf_result *result)
{
	struct symtab symbols = { 0 };
	struct isf_input input = { .symbols = &symbols,
				   .banner = BANNER,
				   .banner_len = strlen(BANNER),
				   .all = all };
	struct json_read *doc = NULL;
	struct text text = { 0 };
	struct err err = { 0 };
	struct btf btf;
	static const char map[] = "ffffffff82000000 D init_task\n"
				  "ffffffff81000010 t modules\n"
				  "ffffffff82000040 d modules\n"
				  "ffffffff82000080 r linux_banner\n"
				  "ffffffff81000020 t __pfx_noise\n"
				  "ffffffff82000100 D prb\n";

	CHECK(symtab_parse_text(&symbols, map, sizeof(map) - 1, &err) == 0);
	symtab_sort(&symbols);
	input.btf = &btf;
	CHECK(btf_open(&btf, small, small_len, &err) == 0);
	CHECK(isf_write(&input, keep, &text, result, &err) == 0);
	CHECK(isf_write(&input, refuse, NULL, &(struct isf_result){ 0 }, &err) < 0);
	CHECK_STR(err.text, "the disk is full");
	doc = json_parse(text.data, text.len, &err);
	CHECK(doc != NULL);
	btf_close(&btf);
	symtab_free(&symbols);
	free(text.data);
	return doc;
}

/* The value behind keys parted by '/'. */
static const struct json_value *at(const struct json_read *doc, const char *path)
{
	const struct json_value *value = json_top(doc);
	char key[64];

	while (*path && value) {
		size_t len = strcspn(path, "/");

		snprintf(key, sizeof(key), "%.*s", (int)len, path);
		value = json_get(value, key);
		path += len + (path[len] == '/');
	}
	return value;
}

static uint64_t number(const struct json_read *doc, const char *path)
{
	uint64_t value = 0xbad;

	json_u64(at(doc, path), &value);
	return value;
}

#define TASK "user_types/task_struct/"
#define FIELD(name) TASK "fields/" name "/"

static void test_members_have_offsets_and_types(void)
{
	struct isf_result result;
	struct json_read *doc = make_isf(false, &result);

	CHECK(number(doc, TASK "size") == 336);
	CHECK(number(doc, FIELD("comm") "offset") == 8);
	CHECK_STR(json_str(at(doc, FIELD("comm") "type/kind")), "array");
	CHECK(number(doc, FIELD("comm") "type/count") == 16);
	CHECK_STR(json_str(at(doc, FIELD("comm") "type/subtype/name")), "char");
	CHECK_STR(json_str(at(doc, FIELD("parent") "type/subtype/name")), "task_struct");
	CHECK_STR(json_str(at(doc, FIELD("state") "type/name")), "state");
	CHECK_STR(json_str(at(doc, FIELD("handler") "type/subtype/kind")), "function");
	CHECK_STR(json_str(at(doc, FIELD("nothing") "type/subtype/name")), "void");
	CHECK_STR(json_str(at(doc, FIELD("usage") "type/name")), "atomic_t");
	CHECK_STR(json_str(at(doc, FIELD("declared") "type/subtype/name")),
		  "declared_only");
	CHECK(number(doc, FIELD("end") "type/count") == 0);
	json_read_free(doc);
}

static void test_bitfields_are_byte_and_bit(void)
{
	struct isf_result result;
	struct json_read *doc = make_isf(false, &result);

	CHECK(number(doc, FIELD("in_iowait") "offset") == 4);
	CHECK(number(doc, FIELD("in_iowait") "type/bit_position") == 1);
	CHECK(number(doc, FIELD("in_iowait") "type/bit_length") == 1);
	CHECK(number(doc, FIELD("sched_remote_wakeup") "offset") == 5);
	CHECK(number(doc, FIELD("sched_remote_wakeup") "type/bit_position") == 0);
	CHECK(number(doc, FIELD("sched_remote_wakeup") "type/bit_length") == 12);
	CHECK_STR(json_str(at(doc, FIELD("in_iowait") "type/type/name")), "unsigned int");
	json_read_free(doc);
}

static void test_anonymous_members_are_marked(void)
{
	struct isf_result result;
	struct json_read *doc = make_isf(false, &result);
	const struct json_value *field = at(doc, FIELD("unnamed_field_10"));
	char path[128];

	CHECK(json_true(json_get(field, "anonymous")));
	CHECK(number(doc, FIELD("unnamed_field_10") "offset") == 232);
	snprintf(path, sizeof(path), "user_types/%s/size",
		 json_str(at(doc, FIELD("unnamed_field_10") "type/name")));
	CHECK(number(doc, path) == 8);
	json_read_free(doc);
}

static void test_enums_have_sign_and_base(void)
{
	struct isf_result result;
	struct json_read *doc = make_isf(false, &result);

	CHECK_STR(json_str(at(doc, "enums/state/base")), "int");
	CHECK(json_is_number(at(doc, "enums/state/constants/STATE_DEAD")));
	CHECK(number(doc, "enums/state/constants/STATE_DEAD") == 0xbad);
	CHECK_STR(json_str(at(doc, "enums/wide/base")), "long unsigned int");
	CHECK(number(doc, "enums/wide/constants/WIDE_HIGH") == 1ull << 63);
	CHECK(number(doc, "enums/mask/constants/MASK_TOP") == 1u << 31);
	json_read_free(doc);
}

static void test_what_has_one_name_is_told_apart(void)
{
	struct isf_result result;
	struct json_read *doc = make_isf(true, &result);
	size_t twins = 0;
	char path[64];

	CHECK(number(doc, "user_types/twin/size") == 1);
	for (int id = 1; id < 200; id++) {
		snprintf(path, sizeof(path), "user_types/twin___%d/size", id);
		twins += number(doc, path) == 24;
	}
	CHECK(twins == 1);
	json_read_free(doc);
}

static void test_only_what_is_reached_is_written(void)
{
	struct isf_result result, all;
	struct json_read *doc = make_isf(false, &result);
	struct json_read *whole = make_isf(true, &all);

	CHECK(at(doc, "user_types/unreachable") == NULL);
	CHECK(at(whole, "user_types/unreachable") != NULL);
	CHECK(at(doc, "user_types/vm_area_struct") != NULL);
	/* Through an array, and through a structure inside. */
	CHECK(at(doc, "user_types/pid_link") != NULL);
	CHECK(at(doc, "user_types/hlist_node") != NULL);
	CHECK(at(doc, "symbols/__pfx_noise") == NULL);
	CHECK(at(whole, "symbols/__pfx_noise") != NULL);
	CHECK(result.user_types < all.user_types);
	json_read_free(doc);
	json_read_free(whole);
}

static void test_symbols_have_address_type_and_banner(void)
{
	struct isf_result result;
	struct json_read *doc = make_isf(false, &result);

	CHECK(number(doc, "symbols/init_task/address") == 0xffffffff82000000);
	CHECK_STR(json_str(at(doc, "symbols/init_task/type/name")), "task_struct");
	/* The variable, and not the function of that name. */
	CHECK(number(doc, "symbols/modules/address") == 0xffffffff82000040);
	/* struct printk_ringbuffer is not in these types. */
	CHECK(at(doc, "symbols/prb/type") == NULL);
	CHECK_STR(json_str(at(doc, "symbols/linux_banner/constant_data")),
		  "TGludXggdmVyc2lvbiA2LjEuMCAoYUBiKSAoZ2NjKSAjMSBTTVAgbm93Cg==");
	CHECK(result.missing_count > 0);
	CHECK_STR(result.missing[0], "init_top_pgt");
	json_read_free(doc);
}

static void test_known_symbols_are_ordered(void)
{
	for (size_t i = 1; i < isf_known_count; i++)
		CHECK(strcmp(isf_known[i - 1].symbol, isf_known[i].symbol) < 0);
}

static void test_a_missing_type_is_named(void)
{
	struct symtab symbols = { .sorted = true };
	struct isf_input input = { .symbols = &symbols, .banner = "", .all = false };
	unsigned char changed[sizeof(small)];
	struct isf_result result;
	struct err err = { 0 };
	struct btf btf;
	char *name;

	memcpy(changed, small, small_len);
	name = memmem(changed, small_len, "\0vfsmount", 10);
	CHECK(name != NULL);
	name[1] = 'x';
	CHECK(btf_open(&btf, changed, small_len, &err) == 0);
	input.btf = &btf;
	CHECK(isf_write(&input, refuse, NULL, &result, &err) < 0);
	CHECK(strstr(err.text, "no struct vfsmount") != NULL);
	btf_close(&btf);
}

/* Changes a u32 and expects that sentence. */
static void refused(size_t off, uint32_t value, const char *why)
{
	unsigned char changed[sizeof(small)];
	struct err err = { 0 };
	struct btf btf;

	memcpy(changed, small, small_len);
	memcpy(changed + off, &value, 4);
	CHECK(btf_open(&btf, changed, small_len, &err) < 0);
	CHECK_STR(err.text, why);
}

static void test_hostile_btf_is_refused(void)
{
	struct err err = { 0 };
	struct btf btf;
	uint32_t first_off, types_len;

	memcpy(&types_len, small + 12, 4);
	CHECK(btf_open(&btf, small, small_len - 1, &err) < 0);
	CHECK_STR(err.text, "BTF whose lengths do not fit");
	CHECK(btf_open(&btf, "\xeb\x9f\1", 3, &err) < 0);
	CHECK_STR(err.text, "BTF of a big-endian machine");
	refused(12, types_len - 1, "BTF: type 85 is cut off");
	refused(4, 8, "BTF whose lengths do not fit");
	/* Type 1, a typedef of 12 bytes, and type 2, an INT. */
	first_off = 24;
	refused(first_off, 0xffffff, "BTF: the name of type 1 is not there");
	refused(first_off + 4, 0x1f000000, "BTF: type 1 is of unknown kind 31");
	refused(first_off + 8, 1u << 20, "BTF: type 1 refers to what is not there");
	refused(first_off + 8, 1, "BTF: type 1 refers to itself");
	refused(first_off + 12 + 8, 3, "BTF: type 2 has an impossible size");
}

/* A header and types alone. */
static int open_types(const uint32_t *words, size_t count, struct err *err)
{
	uint32_t file[64] = { 0x0001eb9f,	   24, 0, (uint32_t)count * 4,
			      (uint32_t)count * 4, 4 };
	struct btf btf;
	int rc;

	memcpy(file + 6, words, count * 4);
	memcpy(file + 6 + count, "\0a\0", 4);
	rc = btf_open(&btf, file, 24 + count * 4 + 4, err);
	if (rc == 0)
		btf_close(&btf);
	return rc;
}

static void test_circles_and_sizes_are_refused(void)
{
	static const uint32_t circle[] = {
		1, BTF_TYPEDEF << 24, 2, 0, BTF_CONST << 24, 1
	};
	static const uint32_t pointers[] = { 0, BTF_PTR << 24, 1 };
	static const uint32_t outside[] = { 1, BTF_CONST << 24, 7 };
	static const uint32_t large[] = { 1, BTF_STRUCT << 24 | 1, 4, 0, 2, 8,
					  0, BTF_PTR << 24,	   0 };
	static const uint32_t beyond[] = { 1, BTF_STRUCT << 24 | 1, 8, 0, 2, 72,
					   0, BTF_PTR << 24,	    0 };
	static const uint32_t good[] = { 1, BTF_STRUCT << 24 | 1, 8, 0, 2, 0,
					 0, BTF_PTR << 24,	  0 };
	struct err err = { 0 };

	CHECK(open_types(circle, 6, &err) < 0);
	CHECK_STR(err.text, "BTF: type 1 refers to itself");
	CHECK(open_types(pointers, 3, &err) < 0);
	CHECK_STR(err.text, "BTF: type 1 refers to itself");
	CHECK(open_types(outside, 3, &err) < 0);
	CHECK_STR(err.text, "BTF: type 1 refers to what is not there");
	CHECK(open_types(large, 9, &err) < 0);
	CHECK_STR(err.text, "BTF: a member of type 1 does not fit in it");
	CHECK(open_types(beyond, 9, &err) < 0);
	CHECK_STR(err.text, "BTF: a member of type 1 does not fit in it");
	CHECK(open_types(good, 9, &err) == 0);
}

int main(void)
{
	load_small();
	RUN(test_members_have_offsets_and_types);
	RUN(test_bitfields_are_byte_and_bit);
	RUN(test_anonymous_members_are_marked);
	RUN(test_enums_have_sign_and_base);
	RUN(test_what_has_one_name_is_told_apart);
	RUN(test_only_what_is_reached_is_written);
	RUN(test_symbols_have_address_type_and_banner);
	RUN(test_known_symbols_are_ordered);
	RUN(test_a_missing_type_is_named);
	RUN(test_hostile_btf_is_refused);
	RUN(test_circles_and_sizes_are_refused);
	return DONE();
}
