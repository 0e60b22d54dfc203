/* One PUT of a file by http.c: tls CA.pem FILE URL. For tests/bench/tls.sh. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/http.h"

static ssize_t read_file(void *arg, void *buf, size_t size, struct err *err)
{
	ssize_t n = read(*(int *)arg, buf, size);

	if (n <= 0)
		return err_set(err, ERR_FAILED, "the file is shorter than it was");
	return n;
}

int main(int argc, char **argv)
{
	struct http_config config = { 0 };
	struct http_request request = { .method = "PUT" };
	struct http_response response = { 0 };
	struct err err = { 0 };
	struct stat st;
	int fd;

	if (argc != 4)
		return 2;
	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return 5;
	config.ca_path = argv[1];
	request.url = argv[3];
	request.body = (struct http_body){ .len_bytes = (uint64_t)st.st_size,
					   .read = read_file,
					   .arg = &fd };
	struct http *http = http_new(&config, &err);

	if (!http || http_perform(http, &request, &response, &err) != 0)
		return err_report(&err, "tls");
	http_free(http);
	if (response.status != 200 || response.sent_bytes != (uint64_t)st.st_size)
		return 5;
	return 0;
}
