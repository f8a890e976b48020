// Package url holds the URL of a store: parsed, comparable, and safe to print.
//
// # What is accepted
//
//	file:///abs/dir  file:rel/dir  /abs/dir  rel/dir  C:\dir  C:/dir
//	sqlite:///abs/path.db  sqlite:////abs/path.db  sqlite:rel/path.db
//	sqlite:  sqlite://  sqlite::memory:  sqlite:///:memory:
//	postgres://user:password@host:5432/db?sslmode=disable#table=jobs
//	postgres://a:5432,b:5433/db  postgresql+psycopg2://host/db  postgres:///db?host=/run/x
//	any-scheme:path  any-scheme://host/path
//
// A text without a scheme is a path, and means file:. It is taken literally: '%', '?', '#' and
// spaces in it stand for themselves. (One that reads like a URL, as run:1, is written ./run:1 or
// file:run:1.) A scheme of one letter is the drive of a Windows path, whose backslashes become
// slashes.
//
// In a URL with a scheme, percent escapes are decoded in every part. The scheme is lower-cased;
// what follows a '+' in it is the driver. The host is lower-cased unless it is the path of a
// socket, an IPv6 address is written in its shortest form, and query parameters are sorted by
// name. In the paths of file: and sqlite: repeated slashes, "." elements and a slash at the end
// are dropped (".." is kept, since a symbolic link may stand before it), and a slash before a
// drive letter too. Nothing else is normalised: default ports and relative paths stay as written.
// Two texts that come to the same after this give equal URLs.
//
// # Passwords
//
// A password may hold any character percent-escaped. Raw ones are understood where only one
// reading is possible: the last '@' before the path ends the password, and '/', '?' and '#'
// belong to it where what precedes them could not be a port. A raw '@' after the host makes the
// reading doubtful and is an error: it is written %40 there, in query parameters too. (The paths
// of file: and sqlite: may hold it raw.)
//
// No password is ever printed, whatever the verb, by [URL.String], package fmt (also where the
// URL is in an unexported field), log/slog, encoding/json or an error of this package. Only
// [URL.Password], [URL.Query], [URL.Fragment], [URL.DSN] and [URL.MarshalBinary] give it. Query
// parameters whose names suggest a secret are treated alike.
//
// [KeyMap] and [ValueMap] are maps from and to URLs, after GC3Pie's UrlKeyDict and UrlValueDict
// (gc3libs.url).
package url
