// Package ignore decides which files of a source stay out of its artifact, in the syntax of .gitignore.
//
// In come the rules of a spec and those of the .sourceignore files of the tree, as they are met. Out comes, for a path,
// whether it is shown. Files of version control and disk images are left out by default. It never reads a file itself.
package ignore
