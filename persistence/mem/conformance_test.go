package mem_test

import (
	"testing"

	"github.com/brine-go/brine/persistence/drivertest"
	_ "github.com/brine-go/brine/persistence/mem"
)

func TestConformance(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{
		URL:     func(testing.TB) string { return "mem:" },
		Private: true,
	})
}
