/* Which packages are a kernel's, and which of two versions is the newer one. */
#include <string.h>

#include "kmods/names.h"
#include "kmods/version.h"
#include "tests/unit/check.h"

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static void versions_of_debian(void)
{
	/* Of dpkg's own tests and of the archives. */
	static const struct {
		const char *a, *b;
		int want;
	} cases[] = {
		{ "6.1.192-2", "6.1.192-2", 0 },
		{ "6.1.99-1", "6.1.192-2", -1 },
		{ "6.12.117-1~deb12u1", "6.12.117-1", -1 },
		{ "6.12.95-1~bpo12+1", "6.12.117-1~deb12u1", -1 },
		{ "1:0", "2", 1 },
		{ "0:1", "1", 0 },
		{ "1.0~rc1", "1.0", -1 },
		{ "1.0~~", "1.0~~a", -1 },
		{ "1.0a", "1.0+", -1 },
		{ "1.0-1", "1.0-1.1", -1 },
		{ "007", "7", 0 },
		{ "1a", "1b", -1 },
		{ "1.2-3-4", "1.2-3-5", -1 },
		{ "123456789012345678901234567890", "123456789012345678901234567891",
		  -1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(sign(version_compare_deb(cases[i].a, cases[i].b)) == cases[i].want);
		CHECK(sign(version_compare_deb(cases[i].b, cases[i].a)) ==
		      -cases[i].want);
	}
}

static void versions_of_rpm(void)
{
	/* Of rpm's tests/rpmvercmp.at. */
	static const struct {
		const char *a, *b;
		int want;
	} cases[] = {
		{ "1.0", "1.0", 0 },
		{ "1.0", "2.0", -1 },
		{ "2.0.1a", "2.0.1", 1 },
		{ "5.5p1", "5.5p2", -1 },
		{ "5.5p10", "5.5p1", 1 },
		{ "10xyz", "10.1xyz", -1 },
		{ "xyz10", "xyz10.1", -1 },
		{ "xyz.4", "8", -1 },
		{ "xyz.4", "2", -1 },
		{ "5.5p2", "5.6p1", -1 },
		{ "6.0.rc1", "6.0", 1 },
		{ "10b2", "10a1", 1 },
		{ "1.0aa", "1.0a", 1 },
		{ "10.0001", "10.1", 0 },
		{ "10.0001", "10.0039", -1 },
		{ "4.999.9", "5.0", -1 },
		{ "20101121", "20101122", -1 },
		{ "2_0", "2.0", 0 },
		{ "a+", "a_", 0 },
		{ "1.0~rc1", "1.0", -1 },
		{ "1.0~rc1", "1.0~rc2", -1 },
		{ "1.0~rc1~git123", "1.0~rc1", -1 },
		{ "1.0^", "1.0", 1 },
		{ "1.0^git1", "1.01", -1 },
		{ "1.0^20160101", "1.0.1", -1 },
		{ "1.0^20160101^git1", "1.0^20160102", -1 },
		{ "1.0~rc1^git1", "1.0~rc1", 1 },
		{ "1.0^git1~pre", "1.0^git1", -1 },
		{ "2:1-1", "1:9-9", 1 },
		{ "5.14.0-427.el9", "5.14.0-427.13.1.el9_4", -1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(sign(version_compare_rpm(cases[i].a, cases[i].b)) == cases[i].want);
		CHECK(sign(version_compare_rpm(cases[i].b, cases[i].a)) ==
		      -cases[i].want);
	}
}

static struct repo_package deb(const char *name, const char *depends, int want)
{
	char *values[DEB_FIELDS] = { (char *)name, "1-1", "amd64", (char *)depends,
				     "pool/x.deb", "1",	  "" };
	struct repo_package p;
	struct err err;

	CHECK(names_deb(values, NULL, &p, &err) == want);
	return p;
}

static void names_of_debian(void)
{
	struct repo_package p;

	p = deb("linux-headers-6.12.115+deb13.1-cloud-amd64",
		"linux-base (>= 4.12~), linux-headers-6.12.115+deb13.1-common (= 1), "
		"linux-image-x | linux-image-y, linux-kbuild-6.12.115+deb13.1, gcc-14",
		1);
	CHECK(p.role == LOCK_HEADERS);
	CHECK(strcmp(p.release, "6.12.115+deb13.1-cloud-amd64") == 0);
	CHECK(strcmp(p.flavour, "cloud") == 0);
	CHECK(strcmp(p.common, "linux-headers-6.12.115+deb13.1-common") == 0);
	CHECK(strcmp(p.kbuild, "linux-kbuild-6.12.115+deb13.1") == 0);
	p = deb("linux-headers-6.1.0-56-rt-amd64",
		"linux-headers-6.1.0-56-common-rt, linux-kbuild-6.1", 1);
	CHECK(strcmp(p.flavour, "rt") == 0);
	CHECK(strcmp(p.common, "linux-headers-6.1.0-56-common-rt") == 0);
	p = deb("linux-headers-6.1.0-56-amd64", "linux-headers-6.1.0-56-common", 1);
	CHECK(strcmp(p.flavour, "generic") == 0);
	p = deb("linux-headers-6.12.107+deb13-arm64-16k",
		"linux-headers-6.12.107+deb13-common", 1);
	CHECK(strcmp(p.flavour, "16k") == 0);
	CHECK(deb("linux-headers-6.1.0-56-common-rt", "", 1).role == LOCK_COMMON);
	CHECK(deb("linux-kbuild-6.1", "", 1).role == LOCK_KBUILD);
	CHECK(deb("linux-image-6.1.0-56-cloud-amd64", "", 1).role == LOCK_IMAGE);
	deb("linux-image-6.1.0-56-cloud-amd64-dbg", "", 0);
	deb("linux-image-6.1.0-56-cloud-amd64-unsigned", "", 0);
	deb("linux-image-amd64-signed-template", "", 0);
	deb("linux-headers-cloud-amd64", "linux-headers-6.1.0-56-cloud-amd64", 0);
	deb("linux-headers-6.12-cloud-amd64", "linux-headers-6.12.1+deb12-cloud-amd64",
	    0);
	deb("linux-libc-dev", "", 0);
}

static void names_of_ubuntu(void)
{
	struct repo_package p;

	p = deb("linux-headers-5.15.0-91-generic",
		"linux-headers-5.15.0-91, libc6 (>= 2.34)", 1);
	CHECK(p.role == LOCK_HEADERS && p.kbuild[0] == '\0');
	CHECK(strcmp(p.flavour, "generic") == 0);
	CHECK(strcmp(p.common, "linux-headers-5.15.0-91") == 0);
	p = deb("linux-headers-6.5.0-1014-aws", "linux-aws-6.5-headers-6.5.0-1014", 1);
	CHECK(strcmp(p.flavour, "aws") == 0);
	CHECK(strcmp(p.common, "linux-aws-6.5-headers-6.5.0-1014") == 0);
	CHECK(deb("linux-aws-6.5-headers-6.5.0-1014", "", 1).role == LOCK_COMMON);
	CHECK(deb("linux-headers-5.15.0-91", "", 1).role == LOCK_COMMON);
}

static struct repo_package rpm(const char *name, const char *arch, const char *uname,
			       const char *release, int want)
{
	struct rpm_info info = { .version = "5.14.0" };
	struct repo_package p;
	struct err err;

	snprintf(info.name, sizeof(info.name), "%s", name);
	snprintf(info.arch, sizeof(info.arch), "%s", arch);
	snprintf(info.release, sizeof(info.release), "%s", release);
	snprintf(info.uname, sizeof(info.uname), "%s", uname);
	CHECK(names_rpm(&info, NULL, &p, &err) == want);
	return p;
}

static void names_of_rpm(void)
{
	struct repo_package p;

	p = rpm("kernel-devel", "x86_64", "", "427.el9", 1);
	CHECK(p.role == LOCK_HEADERS && p.common[0] == '\0');
	CHECK(strcmp(p.release, "5.14.0-427.el9.x86_64") == 0);
	CHECK(strcmp(p.flavour, "generic") == 0);
	p = rpm("kernel-rt-devel", "x86_64", "5.14.0-427.el9.x86_64+rt", "427.el9", 1);
	CHECK(strcmp(p.release, "5.14.0-427.el9.x86_64+rt") == 0);
	CHECK(strcmp(p.flavour, "rt") == 0 && p.common[0] == '\0');
	p = rpm("kernel6.12-devel", "aarch64", "", "66.amzn2023", 1);
	CHECK(strcmp(p.release, "5.14.0-66.amzn2023.aarch64") == 0);
	CHECK(strcmp(p.flavour, "generic") == 0);
	CHECK(rpm("kernel6.12", "aarch64", "", "66.amzn2023", 1).role == LOCK_IMAGE);
	CHECK(rpm("kernel", "x86_64", "", "1.amzn2", 1).role == LOCK_IMAGE);
	CHECK(rpm("kernel-core", "x86_64", "", "427.el9", 1).role == LOCK_IMAGE);
	CHECK(rpm("kernel-devel", "noarch", "", "1.1", 1).role == LOCK_COMMON);
	p = rpm("kernel-default-devel", "x86_64", "", "150500.55.52.1", 1);
	CHECK(strcmp(p.release, "5.14.0-150500.55.52-default") == 0);
	CHECK(strcmp(p.common, "kernel-devel") == 0);
	p = rpm("kernel-default", "x86_64", "", "150500.55.52.1", 1);
	CHECK(p.role == LOCK_IMAGE);
	CHECK(strcmp(p.release, "5.14.0-150500.55.52-default") == 0);
	rpm("kernel-headers", "x86_64", "", "427.el9", 0);
	rpm("kernel-devel-matched", "x86_64", "", "427.el9", 0);
	rpm("kernel-modules-core", "x86_64", "", "427.el9", 0);
	rpm("kernel-debuginfo", "x86_64", "", "427.el9", 0);
	rpm("kernelshark", "x86_64", "", "1", 0);
}

int main(void)
{
	RUN(versions_of_debian);
	RUN(versions_of_rpm);
	RUN(names_of_debian);
	RUN(names_of_ubuntu);
	RUN(names_of_rpm);
	return DONE();
}
