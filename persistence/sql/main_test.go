package sql_test

import (
	"testing"

	"github.com/brine-go/brine/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m) }
