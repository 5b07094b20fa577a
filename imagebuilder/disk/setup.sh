#!/bin/sh
# mmdebstrap runs this with the empty root file system as its argument. The kernel's package makes the initial ram disk
# when it is configured; what says how must be there before, or it is made twice.
set -eu
root=$1
umask 022

mkdir -p "$root/etc/initramfs-tools/conf.d" "$root/etc/initramfs-tools/hooks"
# All modules that may be needed for some root file system are 30 MB; these are for the disks that hypervisors show.
printf 'MODULES=list\nCOMPRESS=gzip\nRESUME=none\n' >"$root/etc/initramfs-tools/conf.d/conpaas"
cat >"$root/etc/initramfs-tools/hooks/conpaas" <<'END'
#!/bin/sh
# nvme and ext4 are part of the kernel. What a cloud says may be on a CD-ROM, and is looked for when systemd begins.
[ "${1:-}" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules virtio_pci virtio_mmio virtio_blk virtio_scsi sd_mod sr_mod ata_piix ata_generic ahci \
	xen-blkfront hv_storvsc hv_vmbus vmw_pvscsi BusLogic crc32c_generic crc32c-intel
END
chmod 755 "$root/etc/initramfs-tools/hooks/conpaas"

# The initial ram disk has a checker for the file system that is named here.
printf 'LABEL=conpaas / ext4 defaults,errors=remount-ro 0 1\n' >"$root/etc/fstab"

# The names of all the world's hardware, locales' sources, and drivers of hardware that no cloud shows are a tenth of it.
mkdir -p "$root/etc/dpkg/dpkg.cfg.d"
for path in /lib/udev/hwdb.d /usr/share/i18n/locales /usr/share/i18n/charmaps '/lib/modules/*/kernel/drivers/infiniband' '/lib/modules/*/kernel/drivers/comedi' \
	'/lib/modules/*/kernel/drivers/target' '/lib/modules/*/kernel/drivers/net/ethernet/mellanox'; do
	echo "path-exclude=$path/*"
done >"$root/etc/dpkg/dpkg.cfg.d/90conpaas-machine"
