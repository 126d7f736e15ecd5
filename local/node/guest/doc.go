// Package guest asks the QEMU guest agent about the system inside a guest.
//
// In: the agent's socket. Out: operating system, host name, network interfaces; file systems that are frozen or thawed. It
// connects for one question at a time, since the channel serves one peer only, and changes nothing else in the guest.
package guest
