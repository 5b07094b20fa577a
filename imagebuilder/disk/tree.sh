#!/bin/sh
# Unpacks the archive of a root file system into a directory and makes a file system of that: tree.sh TREE TAR mke2fs'
# arguments. Runs as root or as root of a user namespace, who alone can remove the directory; so it does, whatever happens.
set -eu
tree=$1 tar=$2
shift 2
trap 'rm -rf "$tree"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -m 755 "$tree"
tar --extract --file="$tar" --directory="$tree" --numeric-owner --same-owner --preserve-permissions --xattrs --xattrs-include='*' \
	--exclude='./dev/*'
mke2fs -d "$tree" "$@"
