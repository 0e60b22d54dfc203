#include "toolkit/triage/report_page.h"

/*
 * The assembler takes the files in as they are, by names from the top of the tree, where
 * make runs it. mk/toolkit.mk knows which files these are.
 */
#define PART(name, files)                                                                \
	__asm__(".pushsection .rodata.report, \"a\"\n" #name "_start:\n" files #name     \
		"_end:\n"                                                                \
		".popsection\n");                                                        \
	extern const char name##_start[] __attribute__((visibility("hidden")));          \
	extern const char name##_end[] __attribute__((visibility("hidden")))

#define FILE_OF(name) ".incbin \"toolkit/triage/" name "\"\n"

PART(page_script,
     FILE_OF("report_text.js") FILE_OF("report_data.js") FILE_OF("report_table.js")
	     FILE_OF("report_process.js") FILE_OF("report.js"));
PART(page_style, FILE_OF("report.css"));
PART(page_body, FILE_OF("report.html"));

static struct report_part part(const char *start, const char *end)
{
	return (struct report_part){ start, (size_t)(end - start) };
}

struct report_part report_script(void)
{
	return part(page_script_start, page_script_end);
}

struct report_part report_style(void)
{
	return part(page_style_start, page_style_end);
}

struct report_part report_body(void)
{
	return part(page_body_start, page_body_end);
}
