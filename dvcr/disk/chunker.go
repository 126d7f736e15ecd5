package disk

import "math/bits"

// gearSeed starts the generator of the gear table. It is part of the format.
const gearSeed = 0x736c6970776179 // "slipway"

// gear holds one random 64-bit number per byte value, the same on every machine.
var gear = gearTable(gearSeed)

// gearTable fills the table with SplitMix64, a generator that fits in five lines and has no hidden state.
func gearTable(seed uint64) [256]uint64 {
	var t [256]uint64
	for i := range t {
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		t[i] = z ^ z>>31
	}
	return t
}

// normalization is how many bits the cut condition is made harder before the average size, and easier after it, which
// keeps chunk sizes close to the average.
const normalization = 2

// cut returns the length of the first chunk of data: at least t.min unless data is shorter, at most t.max. The caller
// passes at least t.max bytes or all that is left of the run, so that the answer does not depend on how data arrived.
//
// It is FastCDC: a gear hash rolls over the bytes after t.min, and the chunk ends where the top bits of the hash are
// zero. Comparing with a limit tests exactly those bits, the ones that the longest stretch of input has mixed.
func (t *tier) cut(data []byte) int {
	if len(data) <= t.min {
		return len(data)
	}
	if len(data) > t.max {
		data = data[:t.max]
	}
	avgBits := bits.Len(uint(t.avg)) - 1
	hard := uint64(1) << (64 - avgBits - normalization)
	easy := uint64(1) << (64 - avgBits + normalization)

	table := &gear
	var h uint64
	middle := min(t.avg, len(data))
	for i, b := range data[t.min:middle] {
		h = h<<1 + table[b]
		if h < hard {
			return t.min + i + 1
		}
	}
	for i, b := range data[middle:] {
		h = h<<1 + table[b]
		if h < easy {
			return middle + i + 1
		}
	}
	return len(data)
}
