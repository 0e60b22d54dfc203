/*
 * Makes a place of triage with something in it: mkplace evidence|output|tar PATH
 * [killed|failed]. Prints where it is. For tests with the tools that read such places.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/triage/place.h"

static int put(const struct place *place, const char *name, uint64_t size_bytes,
	       const char *text, size_t times, struct err *err)
{
	struct out_file *file = place->ops->open(place->arg, name, size_bytes, err);

	if (!file)
		return -1;
	for (size_t i = 0; i < times; i++)
		if (place->ops->write(file, text, strlen(text), err) < 0) {
			place->ops->abandon(file);
			return -1;
		}
	return place->ops->close(file, err);
}

static int fill(const struct place *place, const char *how, struct err *err)
{
	struct out_file *report =
		place->ops->open(place->arg, "report.html", UINT64_MAX, err);

	if (!report || place->ops->write(report, "<html>\n", 7, err) < 0 ||
	    put(place, "recovered/1-exe", 4000000, "exe\n", 1000000, err) < 0 ||
	    put(place, "recovered/2-exe", 4, "exe\n", 1, err) < 0)
		return -1;
	if (strcmp(how, "killed") == 0)
		raise(SIGKILL);
	if (strcmp(how, "failed") == 0)
		return err_set(err, ERR_FAILED, "the host went down");
	if (put(place, "triage.jsonl", UINT64_MAX, "{}\n", 300000, err) < 0 ||
	    place->ops->close(report, err) < 0)
		return -1;
	return place->ops->finish(place->arg, err);
}

int main(int argc, char **argv)
{
	struct options opt = { .instance = "i-0123" };
	struct err err = { 0 }, other = { 0 };
	struct place place;
	int rc;

	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "evidence") == 0)
		opt.evidence = argv[2];
	else if (strcmp(argv[1], "output") == 0)
		opt.output = argv[2];
	else
		opt.tar = argv[2];
	if (place_open(&place, &opt, NULL, &err) < 0)
		return err_report(&err, "mkplace");
	rc = fill(&place, argc > 3 ? argv[3] : "", &err);
	if (rc < 0 && place_fail(&place, &err, &other) < 0)
		err_report(&other, "mkplace");
	fprintf(stderr, "%s\n", place_result(&place)->where);
	place_close(&place);
	return rc < 0 ? err_report(&err, "mkplace") : 0;
}
