package decrypt

// Error is why a file cannot be opened. It never holds content.
type Error struct {
	// Problem says what is wrong, Remedy what to do about it.
	Problem, Remedy string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Remedy == "" {
		return e.Problem
	}
	return e.Problem + "; " + e.Remedy
}

func damaged(problem string) *Error {
	return &Error{Problem: "cannot be decrypted: " + problem, Remedy: "encrypt it again with sops"}
}
