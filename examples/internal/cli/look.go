package cli

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/brine-go/brine/url"
)

// Look returns the command that shows a store in a browser, or "" for one in the memory of a
// process, which nobody else can look at. It names the command brine as it is called in the folder
// dir: by go run in a clone of Brine, else by its name.
func Look(u url.URL, dir string) string {
	if CheckShared(u.String()) != nil {
		return ""
	}
	place := u.String()
	if u.Scheme() == "sqlite" && u.Table() == "" && len(u.Query()) == 0 {
		place = filepath.FromSlash(u.Path()) // the command knows SQLite's files
	}
	command := "brine"
	if _, err := os.Stat(filepath.Join(dir, "cmd", "brine", "go.mod")); err == nil {
		command = "go run ./cmd/brine"
	}
	return command + " web " + shellWord(place)
}

// shellWord quotes s for a POSIX shell, if it has to be quoted.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/.:_-+@%,=", r)
	}
	if s != "" && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
