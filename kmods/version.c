#include "kmods/version.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Compares the numbers that a and b begin with, of any length, and moves behind them. */
static int compare_numbers(const char **a, const char *a_end, const char **b,
			   const char *b_end)
{
	const char *x = *a, *y = *b;
	size_t n, m;
	int c;

	while (x < a_end && *x == '0')
		x++;
	while (y < b_end && *y == '0')
		y++;
	for (n = 0; x + n < a_end && digit(x[n]); n++)
		;
	for (m = 0; y + m < b_end && digit(y[m]); m++)
		;
	*a = x + n;
	*b = y + m;
	if (n != m)
		return n < m ? -1 : 1;
	c = memcmp(x, y, n);
	return c < 0 ? -1 : c > 0;
}

/* Debian: '~' before the end, the end before letters, letters before the rest. */
static int order(const char *p, const char *end)
{
	if (p == end || digit(*p))
		return 0;
	if (*p == '~')
		return -1;
	return letter(*p) ? (unsigned char)*p : (unsigned char)*p + 256;
}

static int compare_deb_part(const char *a, const char *a_end, const char *b,
			    const char *b_end)
{
	while (a < a_end || b < b_end) {
		while ((a < a_end && !digit(*a)) || (b < b_end && !digit(*b))) {
			int x = order(a, a_end), y = order(b, b_end);

			if (x != y)
				return x < y ? -1 : 1;
			a += a < a_end;
			b += b < b_end;
		}
		int c = compare_numbers(&a, a_end, &b, b_end);

		if (c != 0)
			return c;
	}
	return 0;
}

/* Splits "1:2-3" at the first ':' and the last '-'. Returns the version's begin. */
static const char *split(const char *v, const char **end, const char **revision)
{
	const char *colon = strchr(v, ':'), *dash = strrchr(v, '-');

	if (colon)
		v = colon + 1;
	*end = v + strlen(v);
	*revision = *end;
	if (dash && dash >= v) {
		*end = dash;
		*revision = dash + 1;
	}
	return v;
}

static int compare_epochs(const char *a, const char *b)
{
	static const char none[] = "0";
	const char *a_end = strchr(a, ':'), *b_end = strchr(b, ':');

	if (!a_end) {
		a = none;
		a_end = none + 1;
	}
	if (!b_end) {
		b = none;
		b_end = none + 1;
	}
	return compare_numbers(&a, a_end, &b, b_end);
}

static bool rpm_mark(char c)
{
	return digit(c) || letter(c) || c == '~' || c == '^';
}

/* One run of letters. */
static int compare_words(const char **a, const char *a_end, const char **b,
			 const char *b_end)
{
	const char *x = *a, *y = *b;

	while (x < a_end && y < b_end && letter(*x) && *x == *y) {
		x++;
		y++;
	}
	bool more_a = x < a_end && letter(*x), more_b = y < b_end && letter(*y);

	if (more_a && more_b)
		return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
	*a = x;
	*b = y;
	return more_a - more_b;
}

/* '~' sorts before everything, '^' after the end and before everything else. */
static int compare_marks(const char **a, const char *a_end, const char **b,
			 const char *b_end, bool *same)
{
	char x = '\0', y = '\0';

	if (*a < a_end)
		x = **a;
	if (*b < b_end)
		y = **b;
	*same = false;
	if (x == '~' || y == '~') {
		if (x != y)
			return x == '~' ? -1 : 1;
	} else if (x == '^' || y == '^') {
		if (x != y)
			return x == '^' ? (y ? -1 : 1) : (x ? 1 : -1);
	} else {
		return 0;
	}
	++*a;
	++*b;
	*same = true;
	return 0;
}

static int compare_rpm_part(const char *a, const char *a_end, const char *b,
			    const char *b_end)
{
	for (;;) {
		bool same;
		int c;

		while (a < a_end && !rpm_mark(*a))
			a++;
		while (b < b_end && !rpm_mark(*b))
			b++;
		c = compare_marks(&a, a_end, &b, b_end, &same);
		if (c != 0)
			return c;
		if (same)
			continue;
		if (a == a_end || b == b_end)
			return (a < a_end) - (b < b_end);
		/* A number is newer than a word. */
		if (digit(*a) != digit(*b))
			return digit(*a) ? 1 : -1;
		c = digit(*a) ? compare_numbers(&a, a_end, &b, b_end)
			      : compare_words(&a, a_end, &b, b_end);
		if (c != 0)
			return c;
	}
}

typedef int compare_fn(const char *a, const char *a_end, const char *b,
		       const char *b_end);

static int compare(const char *a, const char *b, compare_fn *compare_parts)
{
	const char *a_end, *b_end, *a_rev, *b_rev;
	int c = compare_epochs(a, b);

	if (c != 0)
		return c;
	a = split(a, &a_end, &a_rev);
	b = split(b, &b_end, &b_rev);
	c = compare_parts(a, a_end, b, b_end);
	return c ? c
		 : compare_parts(a_rev, a_rev + strlen(a_rev), b_rev,
				 b_rev + strlen(b_rev));
}

int version_compare_deb(const char *a, const char *b)
{
	return compare(a, b, compare_deb_part);
}

int version_compare_rpm(const char *a, const char *b)
{
	return compare(a, b, compare_rpm_part);
}
