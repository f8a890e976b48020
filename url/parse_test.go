package url

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fields are all that the methods of a URL tell.
type fields struct {
	Scheme, Driver, User, Password, Host, Port, Path, Query, Fragment, Table string
}

func fieldsOf(u URL) fields {
	return fields{
		u.Scheme(), u.Driver(), u.User(), u.Password(), u.Host(), u.Port(),
		u.Path(), u.Query().Encode(), u.Fragment(), u.Table(),
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in string
		want     fields
		str      string // String; DSN where dsn is ""
		dsn      string
	}{
		{name: "an absolute path is a file URL", in: "/tmp/x", want: fields{Scheme: "file", Path: "/tmp/x"}, str: "file:///tmp/x"},
		{name: "a relative path is a file URL", in: "jobs/run1", want: fields{Scheme: "file", Path: "jobs/run1"}, str: "file:jobs/run1"},
		{name: "the working directory", in: ".", want: fields{Scheme: "file", Path: "."}, str: "file:."},
		{name: "a path with dots at the start", in: "../x/./y//z/", want: fields{Scheme: "file", Path: "../x/y/z"}, str: "file:../x/y/z"},
		{name: "a bare path is literal", in: "/a b/50%/c#d?e=f%20#table=x", want: fields{Scheme: "file", Path: "/a b/50%/c#d?e=f%20#table=x"}, str: "file:///a%20b/50%25/c%23d%3Fe=f%2520%23table=x"},
		{name: "a bare path with a colon after a slash", in: "./a:b", want: fields{Scheme: "file", Path: "./a:b"}, str: "file:./a:b"},
		{name: "a bare path with a colon after a longer name", in: "./ab:c", want: fields{Scheme: "file", Path: "ab:c"}, str: "file:ab:c"},
		{name: "a Windows path with backslashes", in: `C:\Users\me\x`, want: fields{Scheme: "file", Path: "C:/Users/me/x"}, str: "file:C:/Users/me/x"},
		{name: "a Windows path with slashes", in: "c:/Users", want: fields{Scheme: "file", Path: "c:/Users"}, str: "file:c:/Users"},
		{name: "the root of a drive", in: `C:\`, want: fields{Scheme: "file", Path: "C:/"}, str: "file:C:/"},
		{name: "a drive with two slashes", in: `C://x`, want: fields{Scheme: "file", Path: "C:/x"}, str: "file:C:/x"},
		{name: "a file URL with a drive", in: "file:///C:/x", want: fields{Scheme: "file", Path: "C:/x"}, str: "file:C:/x"},
		{name: "a directory that looks like a drive", in: "/C:/x", want: fields{Scheme: "file", Path: "/C:/x"}, str: "file:///C%3A/x"},
		{name: "file with three slashes", in: "file:///tmp/x", want: fields{Scheme: "file", Path: "/tmp/x"}, str: "file:///tmp/x"},
		{name: "file with one slash", in: "file:/tmp/x", want: fields{Scheme: "file", Path: "/tmp/x"}, str: "file:///tmp/x"},
		{name: "file with localhost", in: "file://LocalHost/tmp/x", want: fields{Scheme: "file", Path: "/tmp/x"}, str: "file:///tmp/x"},
		{name: "file relative", in: "file:tmp/x", want: fields{Scheme: "file", Path: "tmp/x"}, str: "file:tmp/x"},
		{name: "file alone", in: "file:", want: fields{Scheme: "file"}, str: "file:"},
		{name: "file and the root", in: "file:///", want: fields{Scheme: "file", Path: "/"}, str: "file:///"},
		{name: "escapes of a path are decoded", in: "FILE:///a%20b%2fc%25", want: fields{Scheme: "file", Path: "/a b/c%"}, str: "file:///a%20b/c%25"},
		{name: "an at sign in a file path", in: "file:///home/a@b", want: fields{Scheme: "file", Path: "/home/a@b"}, str: "file:///home/a@b"},

		{name: "sqlite with three slashes is absolute", in: "sqlite:///abs/path.db", want: fields{Scheme: "sqlite", Path: "/abs/path.db"}, str: "sqlite:///abs/path.db"},
		{name: "sqlite with four slashes is absolute", in: "sqlite:////abs/path.db", want: fields{Scheme: "sqlite", Path: "/abs/path.db"}, str: "sqlite:///abs/path.db"},
		{name: "sqlite without slashes is relative", in: "sqlite:rel/path.db", want: fields{Scheme: "sqlite", Path: "rel/path.db"}, str: "sqlite:rel/path.db"},
		{name: "sqlite alone", in: "sqlite:", want: fields{Scheme: "sqlite"}, str: "sqlite:"},
		{name: "sqlite with two slashes alone", in: "sqlite://", want: fields{Scheme: "sqlite"}, str: "sqlite:"},
		{name: "sqlite memory", in: "sqlite::memory:", want: fields{Scheme: "sqlite", Path: ":memory:"}, str: "sqlite::memory:"},
		{name: "sqlite memory with slashes", in: "sqlite:///:memory:", want: fields{Scheme: "sqlite", Path: ":memory:"}, str: "sqlite::memory:"},
		{name: "a file called memory", in: "sqlite:./:memory:", want: fields{Scheme: "sqlite", Path: "./:memory:"}, str: "sqlite:./:memory:"},
		{name: "an absolute file called memory", in: "sqlite:///%3amemory:", want: fields{Scheme: "sqlite", Path: "/:memory:"}, str: "sqlite:///%3Amemory:"},
		{name: "sqlite with parameters and a table", in: "sqlite:///x.db?b=2&a=1#table=jobs", want: fields{Scheme: "sqlite", Path: "/x.db", Query: "a=1&b=2", Fragment: "table=jobs", Table: "jobs"}, str: "sqlite:///x.db?a=1&b=2#table=jobs"},
		{name: "sqlite with a driver", in: "sqlite+pysqlite:///x.db", want: fields{Scheme: "sqlite", Driver: "pysqlite", Path: "/x.db"}, str: "sqlite+pysqlite:///x.db"},
		{name: "sqlite with a drive", in: `sqlite:///C:/x.db`, want: fields{Scheme: "sqlite", Path: "C:/x.db"}, str: "sqlite:C:/x.db"},

		{name: "a whole server URL", in: "PostgreSQL+PsycoPG2://Me:s3cret@DB.Example.org:05432/db?sslmode=disable#table=t", want: fields{Scheme: "postgresql", Driver: "psycopg2", User: "Me", Password: "s3cret", Host: "db.example.org", Port: "5432", Path: "/db", Query: "sslmode=disable", Fragment: "table=t", Table: "t"}, str: "postgresql+psycopg2://Me:xxxxx@db.example.org:5432/db?sslmode=disable#table=t", dsn: "postgresql+psycopg2://Me:s3cret@db.example.org:5432/db?sslmode=disable#table=t"},
		{name: "a host alone", in: "mysql://h", want: fields{Scheme: "mysql", Host: "h"}, str: "mysql://h"},
		{name: "a port alone", in: "mysql://:3306/db", want: fields{Scheme: "mysql", Port: "3306", Path: "/db"}, str: "mysql://:3306/db"},
		{name: "a user alone", in: "postgres://me@/db", want: fields{Scheme: "postgres", User: "me", Path: "/db"}, str: "postgres://me@/db"},
		{name: "an empty password is none", in: "postgres://me:@h/db", want: fields{Scheme: "postgres", User: "me", Host: "h", Path: "/db"}, str: "postgres://me@h/db"},
		{name: "an empty port is none", in: "postgres://h:/db", want: fields{Scheme: "postgres", Host: "h", Path: "/db"}, str: "postgres://h/db"},
		{name: "a password without a user", in: "redis://:pw@h", want: fields{Scheme: "redis", Password: "pw", Host: "h"}, str: "redis://:xxxxx@h", dsn: "redis://:pw@h"},
		{name: "a socket as a parameter", in: "postgres:///db?host=/run/x", want: fields{Scheme: "postgres", Path: "/db", Query: "host=%2Frun%2Fx"}, str: "postgres:///db?host=%2Frun%2Fx"},
		{name: "a socket as the host", in: "postgres://%2Frun%2FX/db", want: fields{Scheme: "postgres", Host: "/run/X", Path: "/db"}, str: "postgres://%2Frun%2FX/db"},
		{name: "an IPv6 host", in: "postgres://u@[2001:DB8:0:0::1]:5432/db", want: fields{Scheme: "postgres", User: "u", Host: "2001:db8::1", Port: "5432", Path: "/db"}, str: "postgres://u@[2001:db8::1]:5432/db"},
		{name: "an IPv6 host with a zone", in: "postgres://[fe80::1%25eth0]/db", want: fields{Scheme: "postgres", Host: "fe80::1%eth0", Path: "/db"}, str: "postgres://[fe80::1%25eth0]/db"},
		{name: "several hosts", in: "postgres://u:p@A:1,b,[::1]:3/db", want: fields{Scheme: "postgres", User: "u", Password: "p", Host: "a:1,b,[::1]:3", Path: "/db"}, str: "postgres://u:xxxxx@a:1,b,[::1]:3/db", dsn: "postgres://u:p@a:1,b,[::1]:3/db"},

		{name: "an escaped password", in: "mysql://u:p%40%2F%3A%23%3F%25@h/db", want: fields{Scheme: "mysql", User: "u", Password: "p@/:#?%", Host: "h", Path: "/db"}, str: "mysql://u:xxxxx@h/db", dsn: "mysql://u:p%40%2F%3A%23%3F%25@h/db"},
		{name: "a raw at sign and colon in the password", in: "mysql://u:p@q:r@h:1/db", want: fields{Scheme: "mysql", User: "u", Password: "p@q:r", Host: "h", Port: "1", Path: "/db"}, str: "mysql://u:xxxxx@h:1/db", dsn: "mysql://u:p%40q%3Ar@h:1/db"},
		{name: "a raw slash in the password", in: "mysql://u:p/w@h:1/db", want: fields{Scheme: "mysql", User: "u", Password: "p/w", Host: "h", Port: "1", Path: "/db"}, str: "mysql://u:xxxxx@h:1/db", dsn: "mysql://u:p%2Fw@h:1/db"},
		{name: "a raw hash in the password", in: "mysql://u:p#w@h/db#table=t", want: fields{Scheme: "mysql", User: "u", Password: "p#w", Host: "h", Path: "/db", Fragment: "table=t", Table: "t"}, str: "mysql://u:xxxxx@h/db#table=t", dsn: "mysql://u:p%23w@h/db#table=t"},
		{name: "a raw question mark in the password", in: "mysql://u:p?w@h/db", want: fields{Scheme: "mysql", User: "u", Password: "p?w", Host: "h", Path: "/db"}, str: "mysql://u:xxxxx@h/db", dsn: "mysql://u:p%3Fw@h/db"},
		{name: "a password that starts with a raw slash", in: "mysql://u:/w@h/db", want: fields{Scheme: "mysql", User: "u", Password: "/w", Host: "h", Path: "/db"}, str: "mysql://u:xxxxx@h/db", dsn: "mysql://u:%2Fw@h/db"},
		{name: "an escaped at sign in a parameter", in: "postgres://h:5432/db?user=a%40b", want: fields{Scheme: "postgres", Host: "h", Port: "5432", Path: "/db", Query: "user=a%40b"}, str: "postgres://h:5432/db?user=a%40b"},
		{name: "an escaped at sign in a path", in: "postgres://h:5432/a%40b", want: fields{Scheme: "postgres", Host: "h", Port: "5432", Path: "/a@b"}, str: "postgres://h:5432/a%40b"},

		{name: "an opaque path of another scheme", in: "mem:shared?x=1", want: fields{Scheme: "mem", Path: "shared", Query: "x=1"}, str: "mem:shared?x=1"},
		{name: "a scheme alone", in: "mem:", want: fields{Scheme: "mem"}, str: "mem:"},
		{name: "the host of another scheme", in: "mem://Shared", want: fields{Scheme: "mem", Host: "shared"}, str: "mem://shared"},
		{name: "an absolute path of another scheme", in: "bolt:/var//x", want: fields{Scheme: "bolt", Path: "/var//x"}, str: "bolt:///var//x"},
		{name: "secret parameters are hidden", in: "postgres://h/db?sslPassword=a&api_key=b&sslmode=c#token=d&table=t", want: fields{Scheme: "postgres", Host: "h", Path: "/db", Query: "api_key=b&sslPassword=a&sslmode=c", Fragment: "token=d&table=t", Table: "t"}, str: "postgres://h/db?api_key=xxxxx&sslPassword=xxxxx&sslmode=c#token=xxxxx&table=t", dsn: "postgres://h/db?api_key=b&sslPassword=a&sslmode=c#token=d&table=t"},
		{name: "empty query and fragment are none", in: "mem:x?#", want: fields{Scheme: "mem", Path: "x"}, str: "mem:x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u, err := Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, fieldsOf(u)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			dsn := tt.dsn
			if dsn == "" {
				dsn = tt.str
			}
			if u.String() != tt.str || u.DSN() != dsn {
				t.Errorf("String %q, want %q\n   DSN %q, want %q", u, tt.str, u.DSN(), dsn)
			}
			if again, err := Parse(u.DSN()); err != nil || again != u {
				t.Errorf("parsed again: %q, %v", again.DSN(), err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", "empty"},
		{"a NUL", "file:a\x00b", "NUL"},
		{"an escaped NUL in a path", "sqlite:a%00b", "NUL in the path"},
		{"an escaped NUL in a parameter", "sqlite:a?b=S3CR%00ET", "NUL in the query"},
		{"an escaped NUL in a password", "mysql://u:S3CR%00ET@h", "NUL in the password"},
		{"a scheme that is none", "my_sql://u:S3CRET@h/db", "malformed scheme"},
		{"a blank before the scheme", " mysql://u:S3CRET@h/db", "malformed scheme"},
		{"an empty driver", "mysql+://u:S3CRET@h/db", "malformed scheme"},
		{"a scheme of one letter and a driver", "c+x:y", "malformed scheme"},
		{"a forgotten host", "postgres://u:S3CRET/db", "malformed port"},
		{"a port that is too large", "postgres://h:65536/db", "malformed port"},
		{"a negative port", "postgres://h:-1/db", "malformed port"},
		{"a host with a blank", "postgres://u:S3CRET@a b/db", "malformed host"},
		{"the address of go-sql-driver", "mysql://u:S3CRET@tcp(h:3306)/db", "malformed port"},
		{"an IPv6 host without an end", "postgres://[::1/db", "malformed host"},
		{"an IPv4 host in brackets", "postgres://[1.2.3.4]/db", "malformed host"},
		{"an IPv6 host without brackets", "postgres://::1/db", "malformed"},
		{"an empty host in a list", "postgres://a,,b/db", "empty host"},
		{"a bad escape in a password", "mysql://u:S3CRET%zz@h/db", "percent escape in the password"},
		{"a bad escape in a path", "sqlite:%zz", "percent escape in the path"},
		{"a bad escape in a parameter", "mysql://h/db?password=S3CRET%zz", "malformed query"},
		{"a semicolon in the query", "mysql://h/db?a=1;password=S3CRET", "malformed query"},
		{"a file URL with a host", "file://u:S3CRET@h/x", "names a host"},
		{"a relative path after two slashes", "sqlite://x.db", "sqlite:path"},
		{"an at sign in the path after a host", "mysql://u:p@SS/S3CRET@h/db", "doubtful"},
		{"a password that starts like a port", "mysql://u:12/S3CRET@h/db", "doubtful"},
		{"a password that starts like a port, with a hash", "mysql://u:12#S3CRET@h/db", "doubtful"},
		{"a password that reads like a port and a parameter", "mysql://u:12?a=S3CRET@h/db", "doubtful"},
		{"an at sign in a parameter", "mysql://u:p@h/db?a=S3CRET@b", "doubtful"},
		{"a user and password without slashes", "user:S3CRET@h/db", "doubtful"},
		{"a user and password after a scheme without slashes", "mysql:user:S3CRET@h/db", "doubtful"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u, err := Parse(tt.in)
			if err == nil {
				t.Fatalf("accepted as %q", u.DSN())
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q lacks %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "S3CR") {
				t.Errorf("error %q shows a password", err)
			}
			if !u.IsZero() {
				t.Errorf("an error comes with the URL %q", u.DSN())
			}
		})
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		want []HostPort
	}{
		{"postgres:///db", nil},
		{"postgres://u@/db", nil},
		{"postgres://h/db", []HostPort{{"h", ""}}},
		{"postgres://:1/db", []HostPort{{"", "1"}}},
		{"postgres://[::1]:5/db", []HostPort{{"::1", "5"}}},
		{"postgres://a:1,%2Frun%2Fx,[fe80::1%25e]:3/db", []HostPort{{"a", "1"}, {"/run/x", ""}, {"fe80::1%e", "3"}}},
	} {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, parse(t, tt.in).Hosts()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func parse(t testing.TB, s string) URL {
	t.Helper()
	u, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
