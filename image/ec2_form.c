#include "image/ec2_form.h"

#include <stdlib.h>
#include <string.h>

#define VERSION "2016-11-15"

void ec2_form(struct ec2_form *form, const char *action)
{
	*form = (struct ec2_form){ 0 };
	form->out = open_memstream(&form->text, &form->len);
	if (form->out)
		fprintf(form->out, "Action=%s&Version=" VERSION, action);
}

void ec2_field(struct ec2_form *form, const char *name, const char *value)
{
	size_t size = 3 * strlen(value) + 1;
	char *encoded = malloc(size);

	if (!form->out || !encoded || !sigv4_encode(value, false, encoded, size))
		form->failed = true;
	else
		fprintf(form->out, "&%s=%s", name, encoded);
	free(encoded);
}

void ec2_field_n(struct ec2_form *form, const char *prefix, size_t n, const char *suffix,
		 const char *value)
{
	char name[96];

	snprintf(name, sizeof(name), "%s%zu%s", prefix, n, suffix);
	ec2_field(form, name, value);
}

int ec2_send(struct aws *aws, struct ec2_form *form, const char *what, struct err *err)
{
	struct aws_call call = {
		.service = AWS_EC2,
		.method = "POST",
		.path = "/",
		.what = what,
		.content_type = "application/x-www-form-urlencoded; charset=utf-8"
	};
	int rc = -1;

	if (!form->out || fclose(form->out) != 0 || form->failed) {
		err_set(err, ERR_FAILED, "%s: out of memory", what);
	} else {
		call.data = form->text;
		call.len_bytes = form->len;
		rc = aws_call(aws, &call, err);
	}
	free(form->text);
	*form = (struct ec2_form){ 0 };
	return rc;
}

int ec2_xml(struct aws *aws, xml_element *element, void *arg, struct err *err)
{
	size_t len;
	const char *text = aws_answer(aws, &len);

	return xml_read(text, len, element, arg, err);
}
