package v1alpha2

// ReasonUnknown is the reason of a condition that has not been evaluated yet; its status is Unknown.
const ReasonUnknown = "Unknown"
