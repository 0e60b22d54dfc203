/* The table of a kernel's symbols and the texts it is made of. */
#include "tests/unit/check.h"
#include "toolkit/lib/symtab.h"

static int parse(struct symtab *tab, const char *text, struct err *err)
{
	*err = (struct err){ 0 };
	return symtab_parse_text(tab, text, strlen(text), err);
}

static void test_text_is_taken_apart(void)
{
	struct symtab tab = { 0 };
	struct err err;

	CHECK(parse(&tab,
		    "0000000000000000 A fixed_percpu_data\n"
		    "ffffffffaa000000 T _text\n"
		    "ffffffffaa000010 t twin\n"
		    "FFFFFFFFAA000008 d twin\n"
		    "ffffffffc0000000 t init\t[ext4]\n"
		    "ffffffffc0001000 t bpf_prog\t[bpf]",
		    &err) == 0);
	symtab_sort(&tab);
	CHECK(tab.count == 4);
	CHECK(symtab_find(&tab, "_text")->addr == 0xffffffffaa000000);
	CHECK(symtab_find(&tab, "_text")->type == 'T');
	CHECK(symtab_find(&tab, "twin")->addr == 0xffffffffaa000008);
	CHECK_STR(symtab_name(&tab, symtab_find(&tab, "twin")), "twin");
	CHECK(!symtab_find(&tab, "init"));
	CHECK(!symtab_find(&tab, "twi"));
	CHECK(!symtab_find(&tab, "twins"));
	symtab_unshift(&tab, 0x29000000);
	symtab_sort(&tab);
	CHECK(symtab_find(&tab, "_text")->addr == 0xffffffff81000000);
	CHECK(symtab_find(&tab, "fixed_percpu_data")->addr == 0);
	symtab_free(&tab);
}

static void refused(const char *text, const char *why)
{
	struct symtab tab = { 0 };
	struct err err;

	CHECK(parse(&tab, text, &err) < 0);
	CHECK_STR(err.text, why);
	symtab_free(&tab);
}

static void test_what_is_no_symbol_is_refused(void)
{
	char longest[600] = "ffffffff81000000 T ";
	size_t len = strlen(longest);

	refused("", "no symbols, it is empty");
	refused("ffffffff81000000 T\n", "line 1: not an address, a letter and a name");
	refused("ffffffff81000000 T a\nT b\n",
		"line 2: not an address, a letter and a name");
	refused("0ffffffff81000000 T a\n", "line 1: not an address, a letter and a name");
	refused("ffffffff81000000 TT a\n", "line 1: not an address, a letter and a name");
	refused("ffffffff81000000 T a b\n", "line 1: something stands behind the name");
	refused("ffffffff81000000 T a\1\n",
		"line 1: what should be a symbol's name is none");
	memset(longest + len, 'x', SYMTAB_NAME_MAX + 1);
	refused(longest, "line 1: what should be a symbol's name is none");
	refused("0000000000000000 T a\n0000000000000000 T b\n",
		"every address is zero: the kernel hid them (kernel.kptr_restrict)");
	/* What Debian has in the place of a System.map. */
	refused("ffffffffffffffff B The real System.map is in the dbg package\n",
		"line 1: something stands behind the name");
}

static void test_it_grows(void)
{
	struct symtab tab = { 0 };
	struct err err = { 0 };
	char name[32];

	for (unsigned i = 0; i < 50000; i++) {
		int len = snprintf(name, sizeof(name), "symbol_%u", i * 7919 % 50000);

		CHECK(symtab_add(&tab, name, (size_t)len, i, 0, &err) == 0);
	}
	symtab_sort(&tab);
	for (unsigned i = 0; i < 50000; i += 777) {
		snprintf(name, sizeof(name), "symbol_%u", i * 7919 % 50000);
		CHECK(symtab_find(&tab, name) && symtab_find(&tab, name)->addr == i);
	}
	symtab_free(&tab);
}

int main(void)
{
	RUN(test_text_is_taken_apart);
	RUN(test_what_is_no_symbol_is_refused);
	RUN(test_it_grows);
	return DONE();
}
