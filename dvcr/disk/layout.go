package disk

// The constants below are the format: changing one changes every digest, so a change needs a new layout version.
const (
	// layoutVersion names this set of rules in the config. Version 1 had other tiers; how a disk was cut is nothing that its
	// readers need, so they read both.
	layoutVersion       = 2
	oldestLayoutVersion = 1

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

// Small chunks let an update that touches many small files move little: where 10 % of a distribution's files change by one
// block each, 64 KiB make 15 % of the image new, 8 KiB make 4 %. They cost 5 % of size, and 45 bytes each in the table, so
// they are for the first 4 GiB, where images of systems lie.
var tiers = [...]tier{
	{below: 4 * gib, min: int(2 * kib), avg: int(8 * kib), max: int(32 * kib)},
	{below: 32 * gib, min: int(16 * kib), avg: int(64 * kib), max: int(256 * kib)},
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
