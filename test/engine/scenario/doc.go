// Package scenario runs Slipway on stock KubeVirt as it runs in a cluster, and what may go wrong around it.
//
// In come an engine that is up (SLIPWAY_ENGINE_DIR, its data directory), config/default with the images that the engine has
// loaded, the demo's repository and the scenarios of test/e2e/scenario; out goes a verdict for each, and a table of
// them beside local/node's. What a cluster brings and the engine does not, a StorageClass for the tests, is made here.
package scenario
