package fs

import (
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

func TestFileName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 95) // 190 bytes, 570 escaped
	for _, c := range []struct {
		name string
		id   driver.ID
		want string
	}{
		{"an integer stands for itself", "17", "17"},
		{"a negative integer too", "-17", "-17"},
		{"a sequence ID too", "Task.17", "Task.17"},
		{"letter case is kept", "aA_b-C", "aA_b-C"},
		{"a slash is escaped", "a/b", "a%2Fb"},
		{"a backslash is escaped", `a\b`, "a%5Cb"},
		{"a leading dot is escaped, the next is not", "..", "%2E%2E"},
		{"a way out of the directory is none", "../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"},
		{"a name like one of ours is escaped", ".brine.lock", "%2Ebrine.lock"},
		{"a trailing dot is escaped", "a.", "a%2E"},
		{"percent and tilde are escaped", "50%~", "50%25%7E"},
		{"what is not ASCII is escaped by its bytes", "ü", "%C3%BC"},
		{"control characters are escaped", "a\nb\x7f", "a%0Ab%7F"},
		{"a device of Windows is escaped", "con", "%63on"},
		{"in any letter case, with any extension", "Nul.txt", "%4Eul.txt"},
		{"with a number", "COM1", "%43OM1"},
		{"a longer word is not", "console", "console"},
		{"nor is a number without device", "com", "com"},
		{"a name of 191 bytes stands for itself", driver.ID(strings.Repeat("x", 191)), strings.Repeat("x", 191)},
		{"one over 200 bytes is hashed", driver.ID(long), strings.Repeat("%C3%A9", 95)[:100] + "~70f3cb81f418a3527e2a91f9a6f27bbde3c6aa48af0284696eba3719cecfcafc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := fileName(c.id)
			if got != c.want {
				t.Fatalf("fileName(%q) = %q, want %q", c.id, got, c.want)
			}
			id, hashed, ok := idOf(got)
			if !ok || !hashed && id != c.id || hashed != strings.Contains(got, "~") {
				t.Errorf("idOf(%q) = %q, %v, %v", got, id, hashed, ok)
			}
		})
	}
}

func TestNamesOfNoRecord(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", ".", "..", ".hidden", ".brine.meta", "a%", "a%2", "a%zz", "a%2f", "a%41", "a b", "ü", "a~b", "con", "Aux.x", "x.", "%2Ebc%2E%2e",
	} {
		if id, _, ok := idOf(name); ok {
			t.Errorf("idOf(%q) = %q, want none", name, id)
		}
	}
}

func FuzzFileName(f *testing.F) {
	for _, s := range []string{"17", "../x", "con", "COM9.a.b", "a/b", ".brine", "%41", "ü", "x.", strings.Repeat("ä", 90), strings.Repeat("%", 70)} {
		f.Add(s)
	}
	seen := map[string]string{}
	f.Fuzz(func(t *testing.T, s string) {
		if !storable(driver.ID(s), false) {
			return
		}
		name := fileName(driver.ID(s))
		if len(name) > 200 || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || reserved(name) {
			t.Errorf("%q gives the name %q", s, name)
		}
		for i := range len(name) {
			if c := name[i]; !plainByte(c) && c != '%' && c != hashSep {
				t.Errorf("%q gives the name %q with %q", s, name, c)
			}
		}
		id, hashed, ok := idOf(name)
		if !ok || !hashed && string(id) != s {
			t.Errorf("%q gives the name %q, which gives %q, %v, %v", s, name, id, hashed, ok)
		}
		if other, dup := seen[name]; dup && other != s {
			t.Errorf("%q and %q give the same name %q", s, other, name)
		}
		seen[name] = s
	})
}

// What is not escaped to itself is no name: the file is somebody else's.
func FuzzIDOf(f *testing.F) {
	for _, s := range []string{"17", "%2E", "%2e", "a%", "%63on", strings.Repeat("a", 100) + "~" + strings.Repeat("0", 64)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if id, hashed, ok := idOf(name); ok && !hashed && fileName(id) != name {
			t.Errorf("idOf(%q) = %q, whose file is %q", name, id, fileName(id))
		}
	})
}
