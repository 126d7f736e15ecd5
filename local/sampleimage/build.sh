#!/bin/bash
# build.sh OUT.qcow2 builds the sample image: a small guest from Debian's packages that boots from its own disk.
# Nothing is mounted and no privilege is needed. README.md says what is inside.
#
#   SLIPWAY_CACHE   where downloaded packages are kept (default: ~/.cache/slipway)
#   DATA_MIB        size of the data partition (default: 64)
#   KERNEL_PACKAGE  linux-image-amd64 instead of the cloud kernel: slower to boot, but with SATA, e1000 and the like
set -euo pipefail
export LC_ALL=C

# Guest content: taken from downloaded packages, never from the host's own files.
guest_packages=(busybox-static dropbear-bin qemu-guest-agent util-linux)
boot_package=systemd-boot-efi
kernel_meta=${KERNEL_PACKAGE:-linux-image-cloud-amd64}
kernel_modules=(virtio_pci virtio_blk virtio_scsi virtio_net virtio_console virtio_rng virtio_balloon
	sd_mod sr_mod ata_piix ahci e1000 e1000e 8139cp isofs vfat nls_cp437 nls_iso8859-1 nls_ascii ext4 overlay button evdev)
kernel_options="console=tty0 console=ttyS0,115200 quiet panic=5 no_timer_check"
data_mib=${DATA_MIB:-64}

# command:package pairs that the build itself runs.
tools=(apt-get:apt dpkg-deb:dpkg qemu-img:qemu-utils mcopy:mtools mkfs.fat:dosfstools syslinux:syslinux
	mkfs.ext4:e2fsprogs cpio:cpio depmod:kmod sfdisk:fdisk gzip:gzip)
mbr=/usr/lib/syslinux/mbr/mbr.bin

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PATH=$PATH:/usr/sbin:/sbin

fail() {
	echo "build.sh: $*" >&2
	exit 1
}

step() { echo "==> $*"; }

need_tools() {
	local pair missing=()
	for pair in "${tools[@]}"; do
		command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
	done
	[ -f "$mbr" ] || missing+=(syslinux-common)
	[ ${#missing[@]} -eq 0 ] || fail "packages are missing; run: apt-get install -y --no-install-recommends ${missing[*]}"
	[ "$(dpkg --print-architecture)" = amd64 ] || fail "the sample image is built on amd64 only, this is $(dpkg --print-architecture)"
}

# libraries_of prints the shared-library packages that the given packages depend on.
libraries_of() {
	apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$@" |
		grep -E '^(lib|zlib1g)' | grep -vE '^lib.*(perl|gdbm|db5)' | sort -u
}

kernel_package() {
	apt-cache depends "$kernel_meta" | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

# download brings the candidate versions of the packages into the cache and prints their file names.
download() {
	local uris missing
	uris=$(cd "$work" && apt-get download --print-uris -qq "$@" 2>"$work/apt.err") ||
		fail "apt does not know every package ($(tail -n 1 "$work/apt.err")); run: apt-get update"
	missing=$(echo "$uris" | while read -r _ file size _; do
		[ "$(stat -c %s "$debs/$file" 2>/dev/null)" = "$size" ] || echo "${file%%_*}"
	done)
	if [ -n "$missing" ]; then
		(cd "$debs" && echo "$missing" | xargs apt-get download -qq 2>"$work/apt.err") ||
			fail "cannot download packages ($(tail -n 1 "$work/apt.err")); run: apt-get update"
	fi
	echo "$uris" | awk '{print $2}'
}

# new_root makes a directory tree with merged /usr, as the packages expect it.
new_root() {
	mkdir -p "$1"/usr/{bin,sbin,lib,lib64}
	local dir
	for dir in bin sbin lib lib64; do ln -sfn "usr/$dir" "$1/$dir"; done
}

unpack() {
	dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink --no-same-owner
}

fetch_packages() {
	local image file libraries
	new_root "$pool"
	mkdir -p "$kernel"
	image=$(kernel_package)
	[ -n "$image" ] || fail "package $kernel_meta is not in apt's lists; run: apt-get update"
	release=${image#linux-image-}
	mapfile -t libraries < <(libraries_of "${guest_packages[@]}")
	download "$image" "$boot_package" "${guest_packages[@]}" "${libraries[@]}" >"$work/debs"
	while read -r file; do
		case $file in
		linux-image-*) unpack "$debs/$file" "$kernel" ;;
		*) unpack "$debs/$file" "$pool" ;;
		esac
	done <"$work/debs"
}

# add_program copies a program and the libraries that it loads from the package pool into the guest.
add_program() {
	local program=$1 library
	install -D -m 755 "$(find "$pool/usr/bin" "$pool/usr/sbin" -name "$(basename "$program")" | head -n 1)" "$guest$program"
	"$pool/lib64/ld-linux-x86-64.so.2" --library-path "$pool/usr/lib/x86_64-linux-gnu" --list "$guest$program" |
		sed -n "s|.*=> \($pool/[^ ]*\).*|\1|p" | while read -r library; do
		install -D -m 644 "$library" "$guest/usr/lib/x86_64-linux-gnu/$(basename "$library")"
	done
}

# add_modules copies the kernel modules in load order; the number in the name keeps it.
add_modules() {
	local module path number=100
	depmod -b "$kernel" "$release"
	mkdir -p "$guest/lib/boot-modules"
	for module in "${kernel_modules[@]}"; do
		modprobe -d "$kernel" -S "$release" --show-depends "$module" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p' || true
	done | awk '!seen[$0]++' >"$work/modules"
	while read -r path; do
		number=$((number + 1))
		case $path in
		*.xz) xz -dc "$path" >"$guest/lib/boot-modules/$number-$(basename "$path" .xz)" ;;
		*) cp "$path" "$guest/lib/boot-modules/$number-$(basename "$path")" ;;
		esac
	done <"$work/modules"
}

add_accounts() {
	mkdir -p "$guest/etc/dropbear"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$guest/etc/passwd"
	printf 'root:x:0:\ntty:x:5:\n' >"$guest/etc/group"
	echo 'root:*:19000:0:99999:7:::' >"$guest/etc/shadow"
	echo /bin/sh >"$guest/etc/shells"
	printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n' >"$guest/etc/nsswitch.conf"
	echo sample >"$guest/etc/hostname"
	cat >"$guest/etc/os-release" <<-END
		NAME="Slipway sample image"
		PRETTY_NAME="Slipway sample image (Debian $(cut -d. -f1 /etc/debian_version) packages)"
		ID=slipway-sample
		ID_LIKE=debian
		VERSION_ID="1"
	END
}

make_guest() {
	new_root "$guest"
	mkdir -p "$guest"/{proc,sys,dev,run,tmp,data,mnt,root,home,var/lib,etc/acpi/PWRF}
	install -D -m 755 "$pool/usr/bin/busybox" "$guest/bin/busybox"
	ln -s busybox "$guest/bin/sh"
	install -D "$pool/lib64/ld-linux-x86-64.so.2" "$guest/lib64/ld-linux-x86-64.so.2"
	add_program /usr/sbin/dropbear
	add_program /usr/bin/dropbearkey
	add_program /usr/sbin/qemu-ga
	add_program /usr/sbin/blkid
	install -m 644 "$pool"/usr/lib/x86_64-linux-gnu/libnss_{files,dns}.so.2 "$guest/usr/lib/x86_64-linux-gnu/"
	add_modules
	add_accounts
	cp -r "$here/rootfs/." "$guest/"
	mv "$guest/etc/acpi/power" "$guest/etc/acpi/PWRF/00000080"
	chmod 755 "$guest"/init "$guest"/etc/rc* "$guest"/usr/sbin/* "$guest"/usr/share/udhcpc/default.script "$guest"/etc/acpi/PWRF/*
	chmod 700 "$guest/root"
}

make_initrd() {
	find "$guest" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	(cd "$guest" && find . | sort | cpio --create --format newc --owner 0:0 --reproducible --quiet) | gzip -9n >"$work/initrd.img"
	cp "$kernel"/boot/vmlinuz-* "$work/vmlinuz"
}

# make_boot fills the FAT partition: syslinux for BIOS, systemd-boot for UEFI, one kernel for both.
make_boot() {
	local disk=$1 mib=$2 volume="$1@@1M"
	export MTOOLS_SKIP_CHECK=1
	mkfs.fat -F 16 -h 2048 -n BOOT -i 51195a1e --invariant --offset 2048 "$disk" $((mib * 1024)) >"$work/mkfs.log" 2>&1 || fail "mkfs.fat: $(cat "$work/mkfs.log")"
	syslinux --install --offset 1048576 "$disk"
	printf 'DEFAULT sample\nPROMPT 0\nTIMEOUT 0\nLABEL sample\n KERNEL vmlinuz\n INITRD initrd.img\n APPEND %s\n' "$kernel_options" >"$work/syslinux.cfg"
	printf 'timeout 0\ndefault sample\n' >"$work/loader.conf"
	printf 'title sample\nlinux /vmlinuz\ninitrd /initrd.img\noptions %s\n' "$kernel_options" >"$work/sample.conf"
	mmd -i "$volume" ::EFI ::EFI/BOOT ::loader ::loader/entries
	mcopy -i "$volume" "$work/vmlinuz" "$work/initrd.img" "$work/syslinux.cfg" ::
	mcopy -i "$volume" "$pool/usr/lib/systemd/boot/efi/systemd-bootx64.efi" ::EFI/BOOT/BOOTX64.EFI
	mcopy -i "$volume" "$work/loader.conf" ::loader/
	mcopy -i "$volume" "$work/sample.conf" ::loader/entries/
}

make_data() {
	truncate -s "${data_mib}M" "$work/data.ext4"
	E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mkfs.ext4 -q -F -L data -m 0 -U 5119a1e0-0000-4000-8000-000000000001 \
		-E hash_seed=5119a1e0-0000-4000-8000-000000000002,lazy_itable_init=0,lazy_journal_init=0 "$work/data.ext4"
	dd if="$work/data.ext4" of="$1" bs=1M seek="$2" conv=notrunc,sparse status=none
}

make_disk() {
	local disk=$work/disk.raw boot_mib
	boot_mib=$((($(stat -c %s "$work/vmlinuz") + $(stat -c %s "$work/initrd.img")) / 1048576 + 4))
	truncate -s $((1 + boot_mib + data_mib + 1))M "$disk"
	printf 'label: dos\nlabel-id: 0x51195a1e\nstart=1MiB,size=%dMiB,type=e,bootable\nstart=%dMiB,size=%dMiB,type=83\n' \
		"$boot_mib" $((1 + boot_mib)) "$data_mib" | sfdisk -q "$disk"
	dd if="$mbr" of="$disk" bs=440 count=1 conv=notrunc status=none
	make_boot "$disk" "$boot_mib"
	make_data "$disk" $((1 + boot_mib))
	qemu-img convert -c -O qcow2 "$disk" "$out.partial"
	mv "$out.partial" "$out"
}

[ $# -eq 1 ] || fail "usage: build.sh OUT.qcow2"
need_tools
mkdir -p "$(dirname "$1")"
out=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
debs=${SLIPWAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/slipway}/debs
mkdir -p "$debs"
pool=$work/pool kernel=$work/kernel guest=$work/guest

step "packages from Debian (kept in $debs)"
fetch_packages
SOURCE_DATE_EPOCH=$(stat -c %Y "$kernel"/boot/vmlinuz-*)
export SOURCE_DATE_EPOCH
step "guest with kernel $release"
make_guest
make_initrd
step "disk"
make_disk
step "$out: $(du -h "$out" | cut -f1)"
