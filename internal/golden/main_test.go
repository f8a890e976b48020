package golden

import (
	"testing"

	"github.com/brine-go/brine/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m) }
