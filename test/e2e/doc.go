// Package e2e runs the story of the README against the built binaries: a real
// push to a real Git server boots a real guest, and every bad input is told
// clearly and heals when it is corrected.
//
// In come the binaries (SLIPWAY_BIN) and the sample image (SLIPWAY_SAMPLE_IMAGE);
// `make e2e` sets both. Out goes a verdict. All traffic stays on loopback.
package e2e
