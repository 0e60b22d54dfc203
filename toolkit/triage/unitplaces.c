#include "toolkit/triage/unitplaces.h"

#define DIRECTORY(path, kind, form)                                                      \
	{                                                                                \
		path, kind, UNIT_FORM_##form, true, false                                \
	}
#define DISTRIBUTION(path, kind, form)                                                   \
	{                                                                                \
		path, kind, UNIT_FORM_##form, true, true                                 \
	}
#define ONE(path, kind, form)                                                            \
	{                                                                                \
		path, kind, UNIT_FORM_##form, false, false                               \
	}

const struct unit_place unit_places[] = {
	DIRECTORY("/etc/systemd/system", "systemd", SYSTEMD),
	DIRECTORY("/etc/systemd/system.control", "systemd", SYSTEMD),
	DIRECTORY("/run/systemd/system", "systemd", SYSTEMD),
	DIRECTORY("/run/systemd/transient", "systemd", SYSTEMD),
	DIRECTORY("/run/systemd/generator", "systemd", SYSTEMD),
	DIRECTORY("/run/systemd/generator.early", "systemd", SYSTEMD),
	DIRECTORY("/run/systemd/generator.late", "systemd", SYSTEMD),
	DIRECTORY("/usr/local/lib/systemd/system", "systemd", SYSTEMD),
	DISTRIBUTION("/usr/lib/systemd/system", "systemd", SYSTEMD),
	DISTRIBUTION("/lib/systemd/system", "systemd", SYSTEMD),
	DIRECTORY("/etc/systemd/user", "systemd_user", SYSTEMD),
	DIRECTORY("/run/systemd/user", "systemd_user", SYSTEMD),
	DISTRIBUTION("/usr/lib/systemd/user", "systemd_user", SYSTEMD),
	DIRECTORY("/etc/systemd/system-generators", "systemd_generator", NONE),
	DIRECTORY("/usr/local/lib/systemd/system-generators", "systemd_generator", NONE),
	DIRECTORY("/etc/systemd/system-shutdown", "systemd_shutdown", NONE),
	ONE("/etc/crontab", "cron", PLAIN),
	ONE("/etc/anacrontab", "cron", PLAIN),
	DIRECTORY("/etc/cron.d", "cron", PLAIN),
	DIRECTORY("/etc/cron.hourly", "cron", NONE),
	DIRECTORY("/etc/cron.daily", "cron", NONE),
	DIRECTORY("/etc/cron.weekly", "cron", NONE),
	DIRECTORY("/etc/cron.monthly", "cron", NONE),
	DIRECTORY("/var/spool/cron", "cron", PLAIN),
	DIRECTORY("/var/spool/cron/crontabs", "cron", PLAIN),
	DIRECTORY("/var/spool/cron/tabs", "cron", PLAIN),
	DIRECTORY("/var/spool/cron/atjobs", "at", AT),
	DIRECTORY("/var/spool/at", "at", AT),
	DIRECTORY("/var/spool/atjobs", "at", AT),
	DIRECTORY("/etc/init.d", "init", NONE),
	DIRECTORY("/etc/rc.d/init.d", "init", NONE),
	DIRECTORY("/etc/init", "init", PLAIN),
	ONE("/etc/inittab", "init", PLAIN),
	ONE("/etc/rc.local", "rc_local", PLAIN),
	ONE("/etc/rc.d/rc.local", "rc_local", PLAIN),
	DIRECTORY("/etc/profile.d", "profile", NONE),
	ONE("/etc/profile", "profile", NONE),
	ONE("/etc/bash.bashrc", "profile", NONE),
	ONE("/etc/bashrc", "profile", NONE),
	ONE("/etc/zsh/zshrc", "profile", NONE),
	ONE("/etc/environment", "profile", PLAIN),
	ONE("/etc/ld.so.preload", "preload", PLAIN),
	ONE("/etc/modules", "modules", PLAIN),
	DIRECTORY("/etc/modules-load.d", "modules", PLAIN),
	DIRECTORY("/run/modules-load.d", "modules", PLAIN),
	DIRECTORY("/usr/lib/modules-load.d", "modules", PLAIN),
	DIRECTORY("/etc/modprobe.d", "modprobe", MODPROBE),
	DIRECTORY("/run/modprobe.d", "modprobe", MODPROBE),
	DIRECTORY("/etc/udev/rules.d", "udev", UDEV),
	DIRECTORY("/run/udev/rules.d", "udev", UDEV),
	DISTRIBUTION("/usr/lib/udev/rules.d", "udev", UDEV),
	DISTRIBUTION("/lib/udev/rules.d", "udev", UDEV),
	DIRECTORY("/etc/pam.d", "pam", PAM),
	DIRECTORY("/etc/update-motd.d", "motd", NONE),
	DIRECTORY("/etc/NetworkManager/dispatcher.d", "network", NONE),
	DIRECTORY("/etc/networkd-dispatcher/routable.d", "network", NONE),
	DIRECTORY("/etc/network/if-up.d", "network", NONE),
	DIRECTORY("/etc/dhcp/dhclient-exit-hooks.d", "network", NONE),
	ONE("/etc/ssh/sshrc", "ssh", PLAIN),
};
const size_t unit_place_count = sizeof(unit_places) / sizeof(unit_places[0]);

const struct unit_place unit_home_places[] = {
	ONE(".ssh/authorized_keys", "authorized_keys", PLAIN),
	ONE(".ssh/authorized_keys2", "authorized_keys", PLAIN),
	ONE(".ssh/rc", "ssh", PLAIN),
	DIRECTORY(".config/systemd/user", "systemd_user", SYSTEMD),
	DIRECTORY(".config/autostart", "autostart", NONE),
	ONE(".bashrc", "profile", NONE),
	ONE(".bash_profile", "profile", NONE),
	ONE(".bash_login", "profile", NONE),
	ONE(".bash_logout", "profile", NONE),
	ONE(".profile", "profile", NONE),
	ONE(".zshrc", "profile", NONE),
	ONE(".zshenv", "profile", NONE),
};
const size_t unit_home_place_count =
	sizeof(unit_home_places) / sizeof(unit_home_places[0]);
