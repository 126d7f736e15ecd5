package disk

// WithPacksOf makes a push close packs from a size on that tests can afford.
func WithPacksOf(size int, o PushOptions) PushOptions {
	o.packSize = size
	return o
}
