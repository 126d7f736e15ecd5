// Package seed writes the disk from which a guest's cloud-init reads its data (NoCloud).
//
// In: meta-data, user-data and network-config as text. Out: an ISO 9660 file labeled cidata, readable by its owner only,
// since user data holds secrets. It interprets nothing.
package seed
