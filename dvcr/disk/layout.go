package disk

// The constants below are the format: changing one changes every digest, so a change needs a new layout version.
const (
	// layoutVersion names this set of rules in the config and in the table of contents.
	layoutVersion = 1

	// blockSize is the unit of zero detection.
	blockSize = 4 << 10

	// minHole is the shortest run of zero blocks that is left out; a shorter one is compressed with its neighbors.
	minHole = 32 << 10

	// window is the distance of forced chunk boundaries, so that work and memory stay bounded whatever the content.
	window = 64 << 20

	// packSize closes a pack: the frame that makes it reach this size is its last one.
	packSize = 32 << 20

	kib = int64(1) << 10
	gib = int64(1) << 30
)

// tier gives the chunk sizes that hold below an offset of the raw disk.
//
// The offset decides and not the size of the disk: a stream whose length is not known yet is cut like the file it came
// from, and a disk that grows past a limit keeps its frames.
type tier struct {
	below         int64 // 0: to the end
	min, avg, max int
}

var tiers = [...]tier{
	{below: 64 * gib, min: int(16 * kib), avg: int(64 * kib), max: int(256 * kib)},
	{below: 512 * gib, min: int(64 * kib), avg: int(256 * kib), max: int(1024 * kib)},
	{min: int(256 * kib), avg: int(1024 * kib), max: int(4096 * kib)},
}

// maxChunk is the largest chunk of any tier, and so the largest frame content a reader accepts.
const maxChunk = 4 << 20

// tierAt returns the chunk sizes at an offset.
func tierAt(off int64) *tier {
	for i := range tiers {
		if tiers[i].below == 0 || off < tiers[i].below {
			return &tiers[i]
		}
	}
	return &tiers[len(tiers)-1]
}
