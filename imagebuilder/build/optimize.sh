#!/bin/sh
# mmdebstrap runs this with the root file system as its argument: what is made anew when it is needed goes, and how much
# that is is told.
set -eu
root=$1
here=$(dirname "$0")

# cut WHAT PATH…
cut() {
	what=$1
	shift
	size=$(du --summarize --total --block-size=1M "$@" 2>/dev/null | tail -n 1 | { read -r size _ && echo "$size" || echo 0; })
	[ "$size" -gt 0 ] || return 0
	rm -rf "$@"
	echo "conpaas: removed $size MiB of $what"
}

# A service makes its database itself; one that the recipe's application has filled stays.
if [ ! -e "$here/script" ]; then
	cut "the empty database of MariaDB" "$root"/var/lib/mysql/*
fi
cut "compiled Python" $(find "$root/usr" -name __pycache__ -type d -prune)
