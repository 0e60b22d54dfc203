/*
 * What ECS says of the task that triage runs in: the task metadata endpoint, version 4,
 * whose address a container finds in its environment. The only thing that triage asks
 * anybody over a network, and only there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/http.h"
#include "toolkit/lib/interrupt.h"
#include "toolkit/triage/triage.h"

#define VARIABLE "ECS_CONTAINER_METADATA_URI_V4"
#define ANSWER_MAX (1u << 20)
#define WAIT_MS 2000

/* AWS's own address, and loopback; anybody can put any other into an environment. */
static bool host_ok(const char *uri)
{
	static const char *const begins[] = { "http://169.254.170.2/",
					      "http://127.0.0.1:" };

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strncmp(uri, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

/* Returns 0 with the answer in body, or -1 with err. */
static int ask(const char *url, char *body, struct err *err)
{
	struct http_config config = { .interrupted = &interrupted };
	struct http_request request = { .method = "GET",
					.url = url,
					.plain_ok = true,
					.connect_timeout_ms = WAIT_MS,
					.total_timeout_ms = WAIT_MS };
	struct http_response response = { .body = body, .body_size = ANSWER_MAX };
	struct http *http = http_new(&config, err);
	int rc = -1;

	if (!http)
		return -1;
	if (http_perform(http, &request, &response, err) < 0)
		goto out;
	if (response.status != 200 || response.truncated) {
		err_set(err, ERR_FAILED, "it answers %d", response.status);
		goto out;
	}
	rc = 0;
out:
	http_free(http);
	return rc;
}

static int emit(struct triage *t, const char *url, const char *body, struct err *err)
{
	struct err bad;
	struct json_read *answer = json_parse(body, strlen(body), &bad);
	struct json *doc;

	if (!answer)
		return triage_unread(t, "task metadata: no JSON", REASON_ERROR, 0, err);
	json_read_free(answer);
	doc = triage_record("task", err);
	if (doc) {
		triage_add_text(doc, json_root(doc), "uri", url, strlen(url));
		triage_add_text(doc, json_root(doc), "metadata", body, strlen(body));
	}
	return triage_emit(t, doc, err);
}

int collect_task(struct triage *t, struct err *err)
{
	const char *uri = t->live ? getenv(VARIABLE) : NULL;
	struct err why = { 0 };
	char *body, url[512], what[600];
	int rc;

	if (!uri || !uri[0])
		return 0;
	if (!host_ok(uri) || strlen(uri) > sizeof(url) - sizeof("/task"))
		return triage_unread(t, VARIABLE " names an address that is not AWS's",
				     REASON_NOT_SUPPORTED, 0, err);
	snprintf(url, sizeof(url), "%s/task", uri);
	body = malloc(ANSWER_MAX);
	if (body && ask(url, body, &why) == 0) {
		rc = emit(t, url, body, err);
	} else {
		snprintf(what, sizeof(what), "task metadata: %s",
			 body ? why.text : "out of memory");
		rc = triage_unread(t, what, REASON_ERROR, 0, err);
	}
	free(body);
	return rc;
}
