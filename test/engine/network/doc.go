// Package network plans the addresses of the engine: nodes, pods, services and the routes between them.
//
// In comes the number of nodes, out come addresses and the commands that give them to a node's network namespace. The
// package is pure; it runs nothing.
package network
