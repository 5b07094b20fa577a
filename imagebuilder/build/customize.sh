#!/bin/sh
# mmdebstrap runs this with the root file system as its argument, after all packages are installed: what belongs to one
# machine, to the host of the build or to the build itself goes.
set -eu
root=$1
here=$(dirname "$0")

# Identity: every machine gets its own.
rm -f "$root/etc/machine-id" "$root/var/lib/dbus/machine-id" "$root"/etc/ssh/ssh_host_*_key "$root"/etc/ssh/ssh_host_*_key.pub
rm -f "$root/etc/hostname" "$root/etc/hosts" "$root/etc/resolv.conf" "$root/etc/mailname"
echo localhost >"$root/etc/hostname"
printf '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
: >"$root/etc/resolv.conf"
chmod 644 "$root/etc/hostname" "$root/etc/hosts" "$root/etc/resolv.conf"

# No service starts by itself. A link that stops a service counts as configured, so upgrades do not bring it back.
for link in "$root"/etc/rc[2345].d/S*; do
	[ -L "$link" ] || continue
	name=${link##*/}
	mv -f "$link" "${link%/*}/K${name#S}"
done
find "$root/etc/systemd/system" -path '*.wants/*' -type l -delete

# How the build reached and unpacked its packages is not how the machine will.
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap"
printf 'APT::Install-Recommends "false";\nAcquire::Languages "none";\n' >"$root/etc/apt/apt.conf.d/99conpaas"
grep -v '^force-unsafe-io' "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap" >"$root/etc/dpkg/dpkg.cfg.d/99conpaas" || true # nothing more
rm -f "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
cp "$here/sources.list" "$root/etc/apt/sources.list"
chmod 644 "$root/etc/apt/sources.list" "$root/etc/apt/apt.conf.d/99conpaas" "$root/etc/dpkg/dpkg.cfg.d/99conpaas"

# Logs and second copies.
find "$root/var/log" -type f -size +0 -exec truncate -s 0 {} +
rm -f "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old "$root/etc/passwd-" "$root/etc/group-" "$root/etc/shadow-" "$root/etc/gshadow-"
