#!/bin/sh
# mmdebstrap runs this with the root file system as its argument, when all packages are there and before what belongs to
# the build is removed: what the recipe puts into the image. Archives are unpacked inside, so that no link of the root
# file system leads out of it.
set -eu
root=$1
here=$(dirname "$0")

for archive in "$here"/copy-*.tar; do
	[ -e "$archive" ] || continue
	to=$(cat "${archive%.tar}.to")
	echo "conpaas: copying into $to"
	chroot "$root" /bin/sh -c 'mkdir -p "$1" && exec tar --extract --no-same-owner --no-overwrite-dir --keep-directory-symlink --directory="$1"' sh "$to" <"$archive"
done
if [ -e "$here/script" ]; then
	echo "conpaas: running the recipe's script"
	inside=/tmp/conpaas-script
	cp "$here/script" "$root$inside"
	chmod 755 "$root$inside"
	chroot "$root" "$inside"
	rm -f "$root$inside"
fi
if [ -e "$here/firstboot" ]; then
	mkdir -p "$root/usr/share/conpaas"
	cp "$here/firstboot" "$root/usr/share/conpaas/firstboot"
	chmod 755 "$root/usr/share/conpaas/firstboot"
fi
