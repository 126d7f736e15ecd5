// Package compare holds what an engine writes of a machine against what stock KubeVirt wrote of it at the same point of the same
// scenario.
//
// In come the objects of a machine, as an engine keeps them now, and recordings, which stock KubeVirt v1.7.0 made; out goes a
// verdict. KubeVirt itself has to write the same again. Of local/node each field is the same, or stands in a table with the
// reason why it is not; an entry of the table that is no difference any more fails as well.
//
// What no two runs have in common is given a name before it is compared: times, UIDs, addresses, names of nodes, generations,
// versions of machine types and of the guest's kernel, and what the storage class gives a claim: sizes, access and volume mode.
package compare
