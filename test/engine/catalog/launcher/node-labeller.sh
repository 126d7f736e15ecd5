#!/bin/sh
# Asks libvirt what guests may have on this node, for virt-handler to make labels of. Guests are emulated here, on every
# machine in the same way, so it is never asked about KVM.
set -eu
out=/var/lib/kubevirt-node-labeller
machine="--machine q35 --arch x86_64 --virttype qemu"

virtqemud -d
# shellcheck disable=SC2086
virsh domcapabilities $machine >"$out/virsh_domcapabilities.xml"
# shellcheck disable=SC2086
virsh hypervisor-cpu-baseline --features "$out/virsh_domcapabilities.xml" $machine >"$out/supported_features.xml"
virsh capabilities >"$out/capabilities.xml"
