// Command source measures how sources are fetched and verified, beside the tools that do the same, in one run on one
// machine. It prints a table and, with -json FILE (- for the terminal), the same as JSON. Times on shared machines are noisy; the ratios are
// what counts.
//
// In come flags that scale the work; out come figures. It talks to servers of its own on loopback only, and removes what it
// made. What is measured for memory and CPU runs in a process of its own: this command, called again.
package main
