// Package cvicondition names the conditions of ClusterVirtualImage and their reasons. It holds constants only: what they mean, never how
// they come about.
package cvicondition
