package mysql_test

import (
	"os"
	"testing"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/drivertest"
)

func TestConformance(t *testing.T) {
	s := testserver.SharedMariaDB(t)
	drivertest.Run(t, drivertest.Harness{
		URL: func(t testing.TB) string { return s.URL(s.NewDB(t)) },
		Forget: func(t testing.TB, url string) {
			run(t, raw(t, url), "DROP TABLE brine_stores")
		},
	})
}

func TestConformanceOnANodeOfACluster(t *testing.T) {
	if os.Getenv("BRINE_LONG") == "" {
		t.Skip("starts a cluster: with BRINE_LONG=1")
	}
	node := testserver.Galera(t)[1]
	drivertest.Run(t, drivertest.Harness{URL: func(t testing.TB) string { return node.URL(node.NewDB(t)) }})
}
