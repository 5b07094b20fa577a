#!/bin/sh
# mmdebstrap runs this with the root file system as its argument, after the script that makes it a virtual machine's: a
# director, that starts at boot.
set -eu
root=$1
here=$(dirname "$0")
umask 022

echo "conpaas: putting the director and the image of its machines in"
name=$(cat "$here/hostname")
echo "$name" >"$root/etc/hostname"
[ "$name" = localhost ] || printf '127.0.1.1\t%s\n' "$name" >>"$root/etc/hosts"
cp --recursive --dereference --no-preserve=ownership,timestamps "$here/nutshell/." "$root/"
ln -s "$(cat "$here/newest")" "$root/var/cache/cpsimage/rootfs.tar"
chroot "$root" /usr/local/bin/cps install-links /usr/local/bin >/dev/null
chroot "$root" /usr/local/bin/cpsdirector config check >/dev/null
chroot "$root" systemctl --quiet enable conpaas-director conpaas-nutshell nftables
