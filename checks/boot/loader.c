// SPDX-License-Identifier: GPL-2.0-only
/*
 * The init of the check `boot`: insert modules and load programs as /boot.list
 * says, one a line, and tell in the kernel log what became of each. So the
 * lines are in order with the kernel's own, and none is torn by another.
 *
 *	patchbot: START /boot.list
 *	patchbot: MODULE <name>: <0 or -errno>
 *	patchbot: TAG <object> <program>: <text of a declaration tag of it>
 *	patchbot: LOG <object> <program>: <line of the verifier's log>
 *	patchbot: LIB <object> <program>: <line that libbpf said>
 *	patchbot: STAT <object> <program>: <line of the log with figures>
 *	patchbot: PROG <object> <program>: accept|reject|absent <0 or -errno>
 *	patchbot: END <lines of /boot.list>
 *
 * "absent" are programs that never came to the verifier, e.g. because the
 * kernel lacks the kfunc that they call.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

/* A record of /dev/kmsg that is longer is refused */
#define LINE	800
/* The end of a log says why; all of it would take long on a serial line */
#define LAST	120

static int kmsg;
static const char *who = "";
static char verifier_log[1 << 20];

static void say(const char *fmt, ...)
{
	char line[LINE + 64];
	va_list args;
	int n;

	n = snprintf(line, sizeof(line), "<6>patchbot: ");
	va_start(args, fmt);
	n += vsnprintf(line + n, LINE, fmt, args);
	va_end(args);
	if (n > LINE)
		n = LINE;
	if (write(kmsg, line, n) < 0)
		dprintf(2, "%.*s\n", n, line);
}

static void say_lines(const char *kind, char *text, int last)
{
	char *line, *start = text + strlen(text);

	while (last && start > text) {
		if (*--start == '\n' && start[1])
			last--;
	}
	for (line = strtok(start, "\n"); line; line = strtok(NULL, "\n"))
		say("%s %s: %s", kind, who, line);
}

/* What the verification took: asked for with BPF_LOG_STATS */
static void say_stats(const char *line)
{
	for (; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		if (!strncmp(line, "processed ", 10) || !strncmp(line, "verification time ", 18))
			say("STAT %s: %.*s", who, (int)strcspn(line, "\n"), line);
	}
}

static int from_libbpf(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char text[4096];

	if (level != LIBBPF_WARN || strstr(fmt, "BEGIN PROG LOAD LOG"))
		return 0;
	vsnprintf(text, sizeof(text), fmt, args);
	say_lines("LIB", text, LAST);
	return 0;
}

static void insert_module(const char *name)
{
	char path[256];
	int fd, err = 0;

	snprintf(path, sizeof(path), "/modules/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		err = -errno;
	say("MODULE %s: %d", name, err);
	if (fd >= 0)
		close(fd);
}

static void say_tags(const struct bpf_object *obj, const char *prog)
{
	const struct btf *btf = bpf_object__btf(obj);
	const struct btf_type *t, *func;
	__u32 i;

	for (i = 1; btf && i < btf__type_cnt(btf); i++) {
		t = btf__type_by_id(btf, i);
		if (!btf_is_decl_tag(t) || btf_decl_tag(t)->component_idx != -1)
			continue;
		func = btf__type_by_id(btf, t->type);
		if (btf_is_func(func) && !strcmp(btf__name_by_offset(btf, func->name_off), prog))
			say("TAG %s: %s", who, btf__name_by_offset(btf, t->name_off));
	}
}

static void load_one(const char *path, const char *object, const char *name)
{
	struct bpf_program *prog;
	struct bpf_object *obj;
	char both[512];
	int err;

	snprintf(both, sizeof(both), "%s %s", object, name);
	who = both;
	obj = bpf_object__open_file(path, NULL);
	if (!obj) {
		say("PROG %s: absent %d", who, -errno);
		return;
	}
	say_tags(obj, name);
	bpf_object__for_each_program(prog, obj)
		bpf_program__set_autoload(prog, !strcmp(bpf_program__name(prog), name));
	prog = bpf_object__find_program_by_name(obj, name);
	verifier_log[0] = 0;
	bpf_program__set_log_buf(prog, verifier_log, sizeof(verifier_log));
	/* BPF_LOG_LEVEL1 | BPF_LOG_STATS */
	bpf_program__set_log_level(prog, 1 | 4);
	err = bpf_object__load(obj);
	say_stats(verifier_log);
	if (err && verifier_log[0])
		say_lines("LOG", verifier_log, LAST);
	say("PROG %s: %s %d", who, !err ? "accept" : verifier_log[0] ? "reject" : "absent", err);
	bpf_object__close(obj);
}

/* Without these, a program must initialize what a kfunc may read; CAP_BPF is kept */
static void set_perfmon(int on)
{
	const __u64 dropped = 1ULL << CAP_PERFMON | 1ULL << CAP_SYS_ADMIN;
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {};
	int i;

	if (syscall(SYS_capget, &header, data)) {
		say("UNKNOWN capabilities");
		return;
	}
	for (i = 0; i < 2; i++) {
		__u32 bits = dropped >> 32 * i;

		data[i].effective = on ? data[i].effective | (data[i].permitted & bits) : data[i].effective & ~bits;
	}
	if (syscall(SYS_capset, &header, data))
		say("UNKNOWN capabilities");
}

static void load_object(const char *name)
{
	struct bpf_program *prog;
	struct bpf_object *obj;
	char path[256], progs[256][128];
	int i, n = 0;

	snprintf(path, sizeof(path), "/programs/%s", name);
	who = name;
	obj = bpf_object__open_file(path, NULL);
	if (!obj) {
		say("PROG %s -: absent %d", name, -errno);
		return;
	}
	bpf_object__for_each_program(prog, obj) {
		if (n < 256)
			snprintf(progs[n++], sizeof(progs[0]), "%s", bpf_program__name(prog));
	}
	bpf_object__close(obj);
	for (i = 0; i < n; i++)
		load_one(path, name, progs[i]);
}

int main(void)
{
	char line[256], kind[16], name[128];
	int lines = 0;
	FILE *list;

	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL);
	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	libbpf_set_print(from_libbpf);
	say("START /boot.list");

	list = fopen("/boot.list", "r");
	while (list && fgets(line, sizeof(line), list)) {
		if (sscanf(line, "%15s %127s", kind, name) != 2)
			continue;
		lines++;
		if (!strcmp(kind, "module"))
			insert_module(name);
		else if (!strcmp(kind, "object"))
			load_object(name);
		else if (!strcmp(kind, "weak")) {
			set_perfmon(0);
			load_object(name);
			set_perfmon(1);
		}
		else
			say("UNKNOWN %s", kind);
	}
	say("END %d", lines);
	/* QEMU ends by -no-reboot; to power off needs ACPI */
	reboot(RB_AUTOBOOT);
	return 1;
}
