// Package all imports every backend of this module for its side effect: mem, file, sqlite, postgres
// and mysql. It is for main programs and tests; a library imports the backends it means.
package all

import (
	_ "github.com/brine-go/brine/persistence/fs"           // file:
	_ "github.com/brine-go/brine/persistence/mem"          // mem:
	_ "github.com/brine-go/brine/persistence/sql/mysql"    // mysql:
	_ "github.com/brine-go/brine/persistence/sql/postgres" // postgres:, postgresql:
	_ "github.com/brine-go/brine/persistence/sql/sqlite"   // sqlite:
)
