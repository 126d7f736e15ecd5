// Package annotations names the annotations of the module kinds and of the objects made for them, as DVP v1.8 writes
// them. It holds constants only.
package annotations
