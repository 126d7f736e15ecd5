// Package accel decides whether guests run on KVM or on QEMU's translator (TCG).
//
// In: the processor's flags, /dev/kvm and a probe guest. Out: a name. A device that opens proves nothing: in nested
// environments it may hang guests, so that KVM is taken only when the processor shows vmx or svm and a guest of twenty
// bytes has run on it. The verdict is kept for the running boot of the host.
package accel
