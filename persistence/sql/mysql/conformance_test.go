package mysql_test

import (
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
	if testing.Short() {
		t.Skip("a cluster takes long to start")
	}
	node := testserver.Galera(t)[1]
	drivertest.Run(t, drivertest.Harness{URL: func(t testing.TB) string { return node.URL(node.NewDB(t)) }})
}
