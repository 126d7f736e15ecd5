// Package libnbd stands in for the binding of libnbd, which CDI's importer is compiled against and uses for VDDK alone.
// It has the names that the importer mentions, and refuses to connect.
package libnbd

import "errors"

// errAbsent is the answer to everything.
var errAbsent = errors.New("reading over NBD is left out of this build")

// Libnbd would be a connection.
type Libnbd struct{}

// Create refuses.
func Create() (*Libnbd, error) { return nil, errAbsent }

// AddMetaContext refuses.
func (*Libnbd) AddMetaContext(string) error { return errAbsent }

// ConnectUri refuses.
func (*Libnbd) ConnectUri(string) error { return errAbsent }

// GetSize refuses.
func (*Libnbd) GetSize() (uint64, error) { return 0, errAbsent }

// Pread refuses.
func (*Libnbd) Pread([]byte, uint64, *PreadOptargs) error { return errAbsent }

// BlockStatus refuses.
func (*Libnbd) BlockStatus(uint64, uint64, ExtentCallback, *BlockStatusOptargs) error {
	return errAbsent
}

// Close has nothing to close.
func (*Libnbd) Close() *LibnbdError { return nil }

// LibnbdError is how the binding tells of errors.
type LibnbdError struct{ Errmsg string }

// Error tells the message.
func (e *LibnbdError) Error() string { return e.Errmsg }

// String tells the message.
func (e *LibnbdError) String() string { return e.Errmsg }

// PreadOptargs are options of reading.
type PreadOptargs struct{}

// CmdFlag changes what a command does.
type CmdFlag uint32

// BlockStatusOptargs are options of asking for extents.
type BlockStatusOptargs struct {
	FlagsSet bool
	Flags    CmdFlag
}

// LibnbdExtent is a stretch of a disk.
type LibnbdExtent struct{ Length, Flags uint64 }

// ExtentCallback receives extents.
type ExtentCallback func(metacontext string, offset uint64, entries []uint32, error *int) int

// CMD_FLAG_REQ_ONE asks for one extent.
const CMD_FLAG_REQ_ONE CmdFlag = 1 << 3

// States of an extent.
const (
	STATE_HOLE uint32 = 1 << iota
	STATE_ZERO
)
