//go:build !linux && !darwin

package fs

// bootID returns "": it is not known whether the machine was started anew.
func bootID() string { return "" }
