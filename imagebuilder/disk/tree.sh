#!/bin/sh
# Unpacks the archive of a root file system into a directory and makes a file system of that: tree.sh MEMORY TREE TAR mke2fs'
# arguments. Runs as root or as root of a user namespace, in a mount namespace of its own. So many bytes of memory hold the
# directory's content and go with the namespace; with 0, or where nothing may be mounted, it is on the disk. Nobody else may be
# able to remove it there, so this does, whatever happens.
set -eu
memory=$1 tree=$2 tar=$3
shift 3
mkdir -m 755 "$tree"
if [ "$memory" -eq 0 ] || ! mount -t tmpfs -o "mode=755,size=$memory,nr_inodes=0" tmpfs "$tree"; then
	trap 'rm -rf "$tree"' EXIT
	trap 'exit 1' HUP INT TERM
fi
tar --extract --file="$tar" --directory="$tree" --numeric-owner --same-owner --preserve-permissions --xattrs --xattrs-include='*' \
	--exclude='./dev/*'
mke2fs -d "$tree" "$@"
