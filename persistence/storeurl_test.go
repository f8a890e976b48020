package persistence_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
)

// A URL that says something other than was meant is refused, and makes nothing.
func TestURLsThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, data := range map[string]string{"records": "SQLite format 3\x00", "notes.txt": "text"} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll("sub", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("sub/jobs", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const both = "write sqlite:%s for the database, or file:%s for a directory"
	forBoth := func(path string) string { return strings.ReplaceAll(both, "%s", path) }
	tests := []struct{ name, url, want string }{
		{"a misspelt table", "sqlite:x#tabel=foo", "#table=NAME, not #tabel="},
		{"a table in capitals", "sqlite:x#TABLE=foo", "#table=NAME, not #TABLE="},
		{"a table alone", "sqlite:x#foo", "is #table=NAME"},
		{"a table alone in memory", "mem:#foo", "is #table=NAME"},
		{"a table alone on a server", "postgres://u@h/db#foo", "is #table=NAME"},
		{"a table alone of a directory", "file:x#foo", "is #table=NAME"},
		{"no table", "sqlite:x#table=", "no table is named"},
		{"two tables", "sqlite:x#table=a&table=b", "#table=NAME alone"},
		{"a table and more", "sqlite:x#table=a&readers=2", "#table=NAME alone"},
		{"more and a table", "sqlite:x#readers=2&table=a", "#table=NAME alone"},
		{"a colon in place of =", "sqlite:x#table:a", "is #table=NAME"},
		{"a hash in a path", "sqlite:c#/x.db", "written %23"},
		{"a table that is no name", "sqlite:x#table=a b", `invalid table name "a b"`},

		{"no colon", "sqlite//x.db", `the colon after "sqlite" is missing`},
		{"no colon, three slashes", "sqlite///x.db", `the colon after "sqlite" is missing`},
		{"no colon, capitals", "SQLite//x.db", `the colon after "SQLite" is missing`},
		{"no colon, another name", "sqlite3//x.db", `the colon after "sqlite3" is missing`},
		{"no colon, a server", "postgres//u:S3CRET@h/db", `the colon after "postgres" is missing`},
		{"no colon, a driver", "postgresql+psycopg2//u:S3CRET@h/db", `the colon after "postgresql+psycopg2" is missing`},
		{"no colon, a directory", "file//x", `the colon after "file" is missing`},
		{"a scheme alone", "mem", `"mem:"`},
		{"a scheme alone, of a database", "sqlite", `"sqlite:"`},
		{"memory as SQLite has it", ":memory:", `"sqlite::memory:"`},
		{"two schemes", "sqlite:sqlite:x.db", `two schemes, "sqlite" and "sqlite"`},
		{"a URI of SQLite", "sqlite:file:x.db?readers=1", `two schemes, "sqlite" and "file"`},
		{"a directory of a database", "file:sqlite:x.db", `two schemes, "file" and "sqlite"`},

		{"the file of a database", "jobs.db", forBoth("jobs.db")},
		{"the file of a database in a folder", "sub/Jobs.SQLite", forBoth("sub/Jobs.SQLite")},
		{"the file of a database by its whole path", "/var/lib/jobs.sqlite3", forBoth("///var/lib/jobs.sqlite3")},
		{"the file of a database on Windows", `C:\jobs.db`, forBoth("C:/jobs.db")},
		{"the file of a database with a blank", "my jobs.db", forBoth("my%20jobs.db")},
		{"the file of a database with a parameter", "jobs.db?readers=2", forBoth("jobs.db%3Freaders=2")},
		{"the file of a database with a table", "jobs.db#table=x", "#table= in it is no fragment"},
		{"a directory with a table", "jobs#table=x", "#table= in it is no fragment"},
		{"a file that is there", "records", forBoth("records")},
		{"a file that is there, of another kind", "./notes.txt", forBoth("notes.txt")},
		{"a file in a folder", "sub/jobs", forBoth("sub/jobs")},

		{"quotation marks", `"sqlite:x.db"`, "quotation mark"},
		{"other quotation marks", `'mem:'`, "quotation mark"},
		{"a blank before", " sqlite:x", "blank"},
		{"a line break", "sqlite:x\n", "line break"},
		{"a line break after a path", "jobs\r\n", "line break"},
		{"a home directory", "~/jobs", "~"},
		{"a variable", "$HOME/jobs", "$"},
		{"keywords of libpq", "host=localhost dbname=jobs password=S3CRET", "postgres://"},
		{"an address of go-sql-driver", "me@tcp(localhost:3306)/jobs", "mysql://"},

		{"a misspelt scheme", "sqllite:x.db", `did you mean "sqlite"?`},
		{"the scheme of a module", "sqlite3:x.db", `did you mean "sqlite"?`},
		{"exchanged letters", "myqsl://u:S3CRET@h/db", `did you mean "mysql"?`},
		{"MariaDB", "mariadb://u:S3CRET@h/db", `did you mean "mysql"?`},
		{"a short name", "pg://u:S3CRET@h/db", `did you mean "postgres"?`},
		{"memory", "memory:", `did you mean "mem"?`},
		{"a misspelt directory", "flie:x", `did you mean "file"?`},
		{"nothing alike", "redis://h/0", "known are file, mem,"},

		{"a parameter of a server on SQLite", "sqlite:x?pool_size=3", `"pool_size" in a sqlite URL, which takes busy_timeout, mode, networkfs, readers, synchronous: it is a parameter of postgres and mysql URLs`},
		{"a misspelt parameter of a server on SQLite", "sqlite:x?poolsize=3", `"pool_size" is a parameter of postgres and mysql URLs`},
		{"a parameter of SQLite on a server", "postgres://u@h/db?busy_timeout=3s", "it is a parameter of sqlite URLs"},
		{"a parameter of PostgreSQL on MySQL", "mysql://u@h/db?sslmode=disable", "it is a parameter of postgres URLs"},
		{"a parameter of MySQL on PostgreSQL", "postgresql://u@h/db?tls=true", "it is a parameter of mysql URLs"},
		{"a parameter of SQLite on a directory", "file:x?synchronous=full", "which takes mode: it is a parameter of sqlite URLs"},
		{"a user as a parameter", "postgres://h/db?user=me", "before the host"},
		{"a password as a parameter", "mysql://h/db?password=S3CRET", "before the host"},
		{"a host as a parameter", "mysql:///db?host=h", "after the two slashes"},
		{"a host of SQLite", "sqlite:x?host=h", "only the URL of a server"},
		{"a database as a parameter", "postgres://h/?dbname=db", "the path of a server's URL"},
		{"a table as a parameter", "sqlite:x?table=jobs", "#table=NAME"},
		{"a misspelt parameter", "sqlite:x?busy_timout=1s", `did you mean "busy_timeout"?`},
		{"a parameter of nobody", "sqlite:x?charset=utf8", "which takes busy_timeout, mode, networkfs, readers, synchronous"},
	}
	for _, tt := range tests {
		s, err := persistence.MakeStore(t.Context(), tt.url, nil)
		switch {
		case err == nil:
			t.Errorf("%s: %q is opened", tt.name, tt.url)
			check(t, s.Close())
		case !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		case strings.Contains(err.Error(), "S3CRET"):
			t.Errorf("%s: a password in %v", tt.name, err)
		}
	}
	var found []string
	check(t, filepath.Walk(".", func(path string, _ os.FileInfo, err error) error {
		found = append(found, path)
		return err
	}))
	if want := []string{".", "notes.txt", "records", "sub", "sub/jobs"}; !slices.Equal(found, want) {
		t.Errorf("refused, and made %q", found)
	}
}

// What looks alike and is meant is opened.
func TestURLsThatAreMeant(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, url := range []string{
		"file:jobs.db", "./sqlite", "./mem", "file:sqlite", "./~", "file", "dir", "fs//x", "jobs.db/runs", "records.d", "a b", "dbs", "./sqlite3//x", "mem:#table=x",
		"sqlite:a%23b.db#table=x", "sqlite:./file:x.db", "file:x#table=jobs",
	} {
		s, err := persistence.MakeStore(t.Context(), url, nil)
		if err != nil {
			t.Errorf("%q: %v", url, err)
			continue
		}
		check(t, s.Close())
	}
}

// Each backend knows the parameters of the others.
func TestParametersOfOtherBackends(t *testing.T) {
	t.Chdir(t.TempDir())
	urls := map[string]string{
		"sqlite": "sqlite:x", "file": "file:x", "mem": "mem:",
		"postgres": "postgres://u@127.0.0.1:1/db", "mysql": "mysql://u@127.0.0.1:1/db",
	}
	refusal := func(scheme, param string) string {
		s, err := persistence.MakeStore(t.Context(), urls[scheme]+"?"+param+"=1", nil)
		if err == nil {
			t.Errorf("%s takes %s", scheme, param)
			check(t, s.Close())
			return ""
		}
		return err.Error()
	}
	params := map[string][]string{}
	for scheme := range urls {
		if _, list, ok := strings.Cut(refusal(scheme, "xyzzy"), "which takes "); !ok {
			t.Errorf("%s does not list its parameters", scheme)
		} else if list != "none" {
			params[scheme] = strings.Split(list, ", ")
		}
	}
	if _, ok := driver.Lookup("postgres"); !ok || len(params["postgres"]) < 10 || len(params["mysql"]) < 10 || len(params["sqlite"]) < 4 {
		t.Fatalf("parameters are %q", params)
	}
	for scheme := range urls {
		for owner, names := range params {
			for _, name := range names {
				if slices.Contains(params[scheme], name) || name == "host" || name == "port" {
					continue
				}
				if got := refusal(scheme, name); !strings.Contains(got, "it is a parameter of ") || !strings.Contains(got, owner) {
					t.Errorf("%s, asked for %s of %s: %s", scheme, name, owner, got)
				}
			}
		}
	}
}
