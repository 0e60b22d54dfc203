/* A form as EC2's Query API takes it, and the call that sends it. */
#ifndef FVOL_IMAGE_EC2_FORM_H
#define FVOL_IMAGE_EC2_FORM_H

#include <stdio.h>

#include "image/aws.h"

struct ec2_form {
	FILE *out;
	char *text;
	size_t len;
	bool failed;
};

/* Begins a form for an action. Always ended by ec2_send(). */
void ec2_form(struct ec2_form *form, const char *action);
void ec2_field(struct ec2_form *form, const char *name, const char *value);
/* The same with a name of a list: PREFIX, number, SUFFIX ("Tag.", 1, ".Key"). */
void ec2_field_n(struct ec2_form *form, const char *prefix, size_t n, const char *suffix,
		 const char *value);

/* Sends the form and frees it. The answer is aws_answer(). */
int ec2_send(struct aws *aws, struct ec2_form *form, const char *what, struct err *err);

/* Reads the answer's XML. */
int ec2_xml(struct aws *aws, xml_element *element, void *arg, struct err *err);

#endif
