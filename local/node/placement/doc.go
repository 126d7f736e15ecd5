// Package placement judges whether an instance may run on the one node that there is.
//
// In: an instance's node selector, node affinity, tolerations and memory, and the Node. Out: nil, or why not. What a scheduler
// weighs (preferences, spread, affinity to other pods) has no alternative to choose from and is not judged.
package placement
