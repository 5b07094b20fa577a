#!/bin/sh
# mmdebstrap runs this last, with the root file system as its argument, for containers with an init of their own: what
# such a machine starts, which is its network and cloud-init.
set -eu
root=$1

mkdir -p "$root/etc/cloud/cloud.cfg.d"
# The locale that cloud-init would set is none of those that are there, and the boot would count as failed.
printf 'datasource_list: [NoCloud, ConfigDrive, OpenStack, Ec2, OpenNebula, None]\nlocale: false\nsystem_info:\n  network:\n    renderers: [networkd]\n' \
	>"$root/etc/cloud/cloud.cfg.d/90_conpaas.cfg"
chroot "$root" systemctl enable --quiet systemd-networkd.service systemd-resolved.service \
	cloud-init-local.service cloud-init.service cloud-config.service cloud-final.service
chroot "$root" systemctl set-default --quiet multi-user.target
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
: >"$root/etc/machine-id" # empty: the first boot writes it
