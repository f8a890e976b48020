package postgres_test

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/brine-go/brine/internal/testserver"
)

// TestEverySettingIsDecided asks the server for the settings that a database or a role can have,
// and wants each in docs/servers.md.
func TestEverySettingIsDecided(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/servers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(text), "\n## PostgreSQL\n")
	part, _, _ = strings.Cut(part, "\n## ")
	var patterns []string
	for _, m := range regexp.MustCompile("`([a-zA-Z_*]+)`").FindAllStringSubmatch(part, -1) {
		patterns = append(patterns, strings.ToLower(m[1]))
	}
	decided := func(name string) bool {
		for _, p := range patterns {
			if ok, err := path.Match(p, strings.ToLower(name)); ok && err == nil {
				return true
			}
		}
		return false
	}
	s := testserver.SharedPostgres(t)
	rows, err := raw(t, s.URL("")).QueryContext(t.Context(),
		"SELECT name FROM pg_settings WHERE context IN ('user', 'superuser', 'backend', 'superuser-backend')")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if !decided(name) {
			t.Errorf("docs/servers.md says nothing of %s", name)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if n < 150 || decided("no_such_setting") {
		t.Errorf("of %d settings, one that is not there is decided: %v", n, decided("no_such_setting"))
	}
}
