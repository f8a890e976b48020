//go:build !unix

package tempdir

import "io/fs"

// isOwn reports whether a file belongs to the user of this process, which is not asked here.
func isOwn(fs.FileInfo) bool { return true }
