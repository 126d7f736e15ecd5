package platform

// Progress shows a person what the platform is doing. Implementations draw on a
// terminal or write lines; they are called from one goroutine.
type Progress interface {
	// Step says that something begins that may take a while.
	Step(name string)
	// Detail is a line that belongs to the step under way, such as what a build
	// is compiling now.
	Detail(line string)
	// Done says that the step under way has ended, with a few words of result.
	Done(result string)
}
