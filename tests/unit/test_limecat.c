/* Which module of a catalogue fits a kernel, and what is said when none does. */
#include "tests/unit/check.h"
#include "toolkit/lib/catversion.h"
#include "toolkit/lib/limecat.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct err err;

#define HEX64 "a6cde8997c37a4f46765c43d4f5af4eb0241ce058d55b04c3ebacbf796225c69"
static const char entry[] =
	"{\"format\":2,\"catalogue_version\":7,\"modules\":[{\"arch\":\"%s\",\"release\":"
	"\"6.1.0-56-cloud-amd64\",\"sha256\":\"%s\",\"size\":%s,\"vermagic\":\"%s\","
	"\"kernel_build_id\":\"%s\",\"tested\":%s}]}";
#define MAGIC "6.1.0-56-cloud-amd64 SMP preempt mod_unload modversions "
#define BANNER "Linux version 6.1.0-56-cloud-amd64 (x) #1 SMP PREEMPT_DYNAMIC Debian x\n"

static struct limecat_kernel kernel;
static struct limecat_module module;

static int find_text(const char *text)
{
	err.text[0] = '\0';
	return limecat_find(text, strlen(text), &kernel, &module, &err);
}

static int find(const char *arch, const char *hash, const char *size, const char *magic,
		const char *build_id)
{
	char text[1024];

	snprintf(text, sizeof(text), entry, arch, hash, size, magic, build_id, "true");
	return find_text(text);
}

static void the_catalogue_is_not_trusted(void)
{
	kernel = (struct limecat_kernel){ "x86_64", "6.1.0-56-cloud-amd64", "", "", 0 };
	CHECK(find("x86_64", HEX64, "29656", MAGIC, "") == 1);
	CHECK(module.size_bytes == 29656 && module.modversions && module.tested);
	CHECK(module.sha256[0] == 0xa6 && module.sha256[31] == 0x69);
	CHECK(find("aarch64", HEX64, "29656", MAGIC, "") == 0);
	CHECK(find("x86_64", HEX64 "0", "29656", MAGIC, "") < 0);
	CHECK(find("x86_64", "", "29656", MAGIC, "") < 0);
	CHECK(find("x86_64", HEX64, "0", MAGIC, "") < 0);
	CHECK(find("x86_64", HEX64, "99999999999", MAGIC, "") < 0);
	CHECK(find("x86_64", HEX64, "-1", MAGIC, "") < 0);
	CHECK(find("x86_64", HEX64, "1", MAGIC, "0G") < 0);
	CHECK(find("x86_64", HEX64, "1", MAGIC "\\u001b[2J", "") < 0);
	CHECK(find("x86_64", HEX64, "1", "6.1.0-56-cloud-amd64x SMP", "") < 0);
	CHECK(find("x86_64", HEX64, "1", "6.1.0-56-cloud-amd64 nomodversions", "") == 1 &&
	      !module.modversions);
	CHECK(find_text("{\"format\":1,\"catalogue_version\":1}") < 0);
	CHECK(find_text("{\"format\":2}") < 0);
	CHECK(find_text("{\"format\":2,\"catalogue_version\":1}") == 0);
	CHECK(find_text("[") < 0);
}

static void a_module_fits_by_build_id(void)
{
	kernel = (struct limecat_kernel){ "x86_64", "6.1.0-56-cloud-amd64", "0a0b",
					  BANNER, 7 };
	CHECK(find("x86_64", HEX64, "1", MAGIC, "0a0b") == 1 && module.by_build_id);
	CHECK(find("x86_64", HEX64, "1", MAGIC, "0a0c") == 0 && err.kind == ERR_NO);
	CHECK(strstr(err.text, "another build of that kernel: build id 0a0c, this kernel "
			       "has 0a0b"));
	/* One side has none: what the kernel says of itself has to do. */
	CHECK(find("x86_64", HEX64, "1", MAGIC, "") == 1 && !module.by_build_id);
	kernel.build_id = "";
	CHECK(find("x86_64", HEX64, "1", MAGIC, "0a0c") == 1 && !module.by_build_id);
	CHECK(find("aarch64", HEX64, "1", MAGIC, "") == 0);
	CHECK_STR(err.text,
		  "the catalogue has no module for x86_64 6.1.0-56-cloud-amd64");
	/* The second of two builds of one release. */
	kernel.build_id = "bb";
	CHECK(find_text("{\"format\":2,\"catalogue_version\":7,\"modules\":["
			"{\"arch\":\"x86_64\",\"release\":\"6.1.0-56-cloud-amd64\","
			"\"sha256\":\"" HEX64 "\",\"size\":1,\"vermagic\":\"" MAGIC "\","
			"\"kernel_build_id\":\"aa\"},"
			"{\"arch\":\"x86_64\",\"release\":\"6.1.0-56-cloud-amd64\","
			"\"sha256\":\"" HEX64 "\",\"size\":2,\"vermagic\":\"" MAGIC "\","
			"\"kernel_build_id\":\"bb\"}]}") == 1);
	CHECK(module.size_bytes == 2);
}

static void or_by_vermagic(void)
{
	static const struct {
		const char *magic, *version;
		int fits;
	} pairs[] = {
		{ "SMP preempt mod_unload ", "#1 SMP PREEMPT_DYNAMIC Debian", 1 },
		{ "SMP preempt mod_unload ", "#1 SMP PREEMPT Debian", 1 },
		{ "SMP preempt_rt mod_unload ", "#1 SMP PREEMPT_RT Debian", 1 },
		{ "SMP preempt mod_unload ", "#1 SMP PREEMPT_RT Debian", 1 },
		{ "SMP mod_unload ", "#1 SMP Debian", 1 },
		{ "SMP mod_unload ", "#1 SMP PREEMPT_RT Debian", 0 },
		{ "SMP preempt mod_unload ", "#1 SMP Debian", 0 },
		{ "SMP preempt_rt mod_unload ", "#1 SMP PREEMPT Debian", 0 },
		{ "mod_unload ", "#1 SMP Debian", 0 },
		{ "SMP mod_unload ", "#1 Debian", 0 },
	};

	for (size_t i = 0; i < COUNT(pairs); i++) {
		char magic[128], version[128];

		snprintf(magic, sizeof(magic), "6.1.0-56-cloud-amd64 %s", pairs[i].magic);
		/* What stands before the number is the compiler's. */
		snprintf(version, sizeof(version), "Linux version x (SMP PREEMPT) %s x\n",
			 pairs[i].version);
		kernel = (struct limecat_kernel){ "x86_64", "6.1.0-56-cloud-amd64", "",
						  version, 0 };
		CHECK(find("x86_64", HEX64, "1", magic, "") == pairs[i].fits);
		CHECK(pairs[i].fits || strstr(err.text, "another kernel of that name"));
	}
}

static void an_old_catalogue_is_refused(void)
{
	kernel = (struct limecat_kernel){ "x86_64", "6.1.0-56-cloud-amd64", "", "", 8 };
	CHECK(find("x86_64", HEX64, "1", MAGIC, "") == 0 && err.kind == ERR_REFUSED);
	CHECK(strstr(err.text, "version 7, older than 8"));
	kernel.least = 7;
	CHECK(find("x86_64", HEX64, "1", MAGIC, "") == 1);
}

static void numbers_of_catalogues(void)
{
	uint64_t version, least;

	CHECK(catversion_parse("7", &version) && version == 7);
	CHECK(!catversion_parse("", &version) && !catversion_parse("0", &version) &&
	      !catversion_parse("07", &version) && !catversion_parse("7x", &version) &&
	      !catversion_parse("99999999999999999999", &version));
	CHECK(catversion_of_catalogue(
		      "{\n  \"format\": 2,\n  \"catalogue_version\": 12,\n", &version,
		      &err) == 0 &&
	      version == 12);
	CHECK(catversion_of_catalogue("{\n  \"format\": 1,\n", &version, &err) < 0);
	CHECK(catversion_of_catalogue("{\n  \"format\": 2,\n  \"catalogue_version\": 12",
				      &version, &err) < 0);
	CHECK(catversion_of_file("# a\n\nversion 3\nleast 2\n", &version, &least, &err) ==
		      0 &&
	      version == 3 && least == 2);
	CHECK(catversion_of_file("version 3\nleast 4\n", &version, &least, &err) < 0);
	CHECK(catversion_of_file("version 3\n", &version, &least, &err) < 0);
	CHECK(catversion_of_file("version 3\nleast 2\nversion 4\n", &version, &least,
				 &err) < 0);
	CHECK(catversion_of_file("version x\nleast 2\n", &version, &least, &err) < 0);
	CHECK(catversion_of_file("version 3 4\nleast 2\n", &version, &least, &err) < 0);
}

int main(void)
{
	RUN(the_catalogue_is_not_trusted);
	RUN(a_module_fits_by_build_id);
	RUN(or_by_vermagic);
	RUN(an_old_catalogue_is_refused);
	RUN(numbers_of_catalogues);
	return DONE();
}
