// Package apply brings objects to an API server: server-side, stage by stage, waiting for what the next stage needs.
//
// In come a client configuration and stages of objects, read from files or made; nothing comes out but an error that
// names the object. It never deletes anything, and never touches what others own beyond the fields it is given.
package apply
