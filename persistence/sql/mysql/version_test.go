package mysql

import "testing"

func TestWhichServersSkipWhatIsLocked(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"8.0.36": true, "8.4.0-commercial": true, "9.1.0": true, "5.7.44-log": false,
		"10.11.6-MariaDB-0+deb12u1": true, "10.6.0-MariaDB": true, "10.5.23-MariaDB": false, "11.4.2-MariaDB": true,
		"8.0.11-TiDB-v7.5.0": true, "unheard of": true,
	} {
		if got := skipsLocked(version); got != want {
			t.Errorf("%s: %v", version, got)
		}
	}
}
