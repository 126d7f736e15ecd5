// Package vmmaclcondition names the conditions of VirtualMachineMACAddressLease and their reasons. It holds constants only: what they mean, never how
// they come about.
package vmmaclcondition
