#!/bin/sh
# mmdebstrap runs this with the empty root file system as its argument, before any package is there.
set -eu
root=$1

# Package scripts never start a service, now or later on a machine: the agent runs what its spec says.
mkdir -p "$root/usr/sbin"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
