// Package finalizers names the finalizers of the module kinds, as DVP v1.8 writes them. A protection finalizer says that
// somebody else still needs the object; a cleanup finalizer says that the object's own controller has work left. It
// holds constants only.
package finalizers
