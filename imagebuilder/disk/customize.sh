#!/bin/sh
# mmdebstrap runs this with the root file system as its argument, after the script that makes it a container's: all
# services are off, and nothing of one machine is left.
set -eu
root=$1
umask 022

# An empty file says that this is not the first boot of all: systemd would enable every service then.
: >"$root/etc/machine-id"
# The resolver's answers are those of the network that the machine is in.
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"

# The loader finds this file in the partition beside its own, and the kernels by the links that their packages keep.
mkdir -p "$root/boot/grub"
# An emulated timer may be late on a busy host; the kernel would take it for broken, and stop.
cat >"$root/boot/grub/grub.cfg" <<'END'
set timeout=0
set default=0
set fallback=1
menuentry "ConPaaS" {
	linux /vmlinuz root=LABEL=conpaas ro no_timer_check console=tty0 console=ttyS0,115200n8 quiet
	initrd /initrd.img
}
menuentry "ConPaaS, previous kernel" {
	linux /vmlinuz.old root=LABEL=conpaas ro no_timer_check console=tty0 console=ttyS0,115200n8
	initrd /initrd.img.old
}
END
[ -e "$root/vmlinuz" ] && [ -e "$root/initrd.img" ] || { echo "the kernel's links are missing" >&2; exit 1; }

# Where a cloud says nothing of a network interface, it is asked for by DHCP.
cat >"$root/etc/systemd/network/99-conpaas.network" <<'END'
[Match]
Name=en* eth*

[Network]
DHCP=yes
END
mkdir -p "$root/etc/systemd/system/systemd-networkd-wait-online.service.d" "$root/etc/systemd/journald.conf.d"
printf '[Service]\nExecStart=\nExecStart=/lib/systemd/systemd-networkd-wait-online --any --timeout=30\n' \
	>"$root/etc/systemd/system/systemd-networkd-wait-online.service.d/conpaas.conf"
printf '[Journal]\nStorage=persistent\nSystemMaxUse=64M\n' >"$root/etc/systemd/journald.conf.d/conpaas.conf"

cat >"$root/etc/cloud/cloud.cfg.d/90_conpaas.cfg" <<'END'
datasource_list: [NoCloud, ConfigDrive, OpenNebula, Ec2, OpenStack, None]
datasource: {OpenNebula: {parseuser: null}}  # its context is a shell script; as another user it would need sudo, which is not there
disable_root: false
ssh_pwauth: false
ssh_genkeytypes: [ed25519]  # a key of RSA takes long under emulation, and holds up what follows
users: [default]
system_info:
  default_user: {name: root, lock_passwd: true, shell: /bin/bash}
  network: {renderers: [networkd]}
cloud_init_modules: [seed_random, bootcmd, write-files, growpart, resizefs, disk_setup, mounts, set_hostname, update_hostname, update_etc_hosts, ca-certs, users-groups, ssh]
cloud_config_modules: [ssh-import-id, set-passwords, ntp, timezone, disable-ec2-metadata, runcmd]
cloud_final_modules: [package-update-upgrade-install, write-files-deferred, scripts-vendor, scripts-per-once, scripts-per-boot, scripts-per-instance, scripts-user, phone-home, final-message, power-state-change]
END

# Which cloud it is shows at the begin, by its disks or the firmware's names. One that shows nothing is asked all the same.
echo 'policy: search,found=all,maybe=none,notfound=enabled' >"$root/etc/cloud/ds-identify.cfg"

# User-data that begins with #! runs at every boot and may run for ever, as the programs of a machine do. cloud-init would
# run it at the first boot only and wait for its end, after two more stages.
mkdir -p "$root/usr/lib/conpaas"
cat >"$root/usr/lib/conpaas/user-data" <<'END'
#!/bin/sh
# Takes the scripts of the user-data away from cloud-init (take), or runs them (run), the last one in its own place.
set -eu
dir=/var/lib/cloud/instance/conpaas
case $1 in
take)
	set -- /var/lib/cloud/instance/scripts/part-*
	[ -e "$1" ] || exit 0
	rm -rf "$dir"
	mkdir -m 700 "$dir"
	mv "$@" "$dir"
	;;
run)
	set -- "$dir"/part-*
	while [ $# -gt 1 ]; do
		"$1" || echo "conpaas: $1 has failed"
		shift
	done
	exec "$1"
	;;
esac
END
chmod 755 "$root/usr/lib/conpaas/user-data"
cat >"$root/etc/systemd/system/conpaas.service" <<'END'
[Unit]
Description=ConPaaS machine, by its user-data
Wants=network-online.target
After=network-online.target cloud-init.service
Before=cloud-final.service
ConditionPathExistsGlob=|/var/lib/cloud/instance/scripts/part-*
ConditionPathExistsGlob=|/var/lib/cloud/instance/conpaas/part-*

[Service]
ExecStartPre=/usr/lib/conpaas/user-data take
ExecStart=/usr/lib/conpaas/user-data run
StandardOutput=journal+console
Restart=on-failure
RestartSec=5
# The programs of the services outlive the agent.
KillMode=process
OOMPolicy=continue
TasksMax=infinity
Delegate=yes

[Install]
WantedBy=multi-user.target
END

chroot "$root" systemctl --quiet enable systemd-networkd systemd-networkd-wait-online systemd-resolved systemd-timesyncd \
	ssh getty@tty1 cloud-init-local cloud-init cloud-config cloud-final conpaas
chroot "$root" systemctl --quiet set-default multi-user.target
