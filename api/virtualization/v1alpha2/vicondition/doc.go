// Package vicondition names the conditions of VirtualImage and their reasons. It holds constants only: what they mean, never how
// they come about.
package vicondition
