/*
 * Checks for unit tests: each failure is printed with its place, and the test goes on.
 * A test file defines tests and lists them in main with RUN(); DONE() is its exit code.
 */
#ifndef FVOL_TESTS_CHECK_H
#define FVOL_TESTS_CHECK_H

#include <stdio.h>
#include <string.h>

static int check_failures;
static int check_failed_tests;

#define CHECK(condition)                                                                 \
	do {                                                                             \
		if (!(condition)) {                                                      \
			printf("  %s:%d: %s\n", __FILE__, __LINE__, #condition);         \
			check_failures++;                                                \
		}                                                                        \
	} while (0)

#define CHECK_STR(actual, expected)                                                      \
	do {                                                                             \
		const char *a_ = (actual), *e_ = (expected);                             \
		if (!a_ || strcmp(a_, e_) != 0) {                                        \
			printf("  %s:%d: \"%s\" is not \"%s\"\n", __FILE__, __LINE__,    \
			       a_ ? a_ : "(null)", e_);                                  \
			check_failures++;                                                \
		}                                                                        \
	} while (0)

#define RUN(test)                                                                        \
	do {                                                                             \
		check_failures = 0;                                                      \
		test();                                                                  \
		printf("%s %s\n", check_failures ? "FAIL" : "ok", #test);                \
		check_failed_tests += check_failures != 0;                               \
	} while (0)

#define DONE() (check_failed_tests ? 1 : 0)

#endif
