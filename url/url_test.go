package url

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// printings are what every way of printing makes of v, its pointer, and structs and collections
// holding it.
func printings(t testing.TB, u URL) map[string]string {
	t.Helper()
	type hidden struct{ u URL }
	type hiddenPointer struct{ u *URL }
	type shown struct{ U URL }
	var keys KeyMap[URL]
	keys.SetURL(u, u)
	var values ValueMap[URL]
	values.SetURL(u, u)
	type hiddenMaps struct {
		k KeyMap[URL]
		v ValueMap[URL]
	}
	out := map[string]string{"String": u.String(), "error": fmt.Errorf("open %w", fmt.Errorf("%v", u)).Error()}
	things := map[string]any{
		"value": u, "pointer": &u, "hidden": hidden{u}, "pointer to hidden": &hidden{u}, "hidden pointer": hiddenPointer{&u},
		"shown": shown{u}, "slice": []URL{u}, "map": map[URL]URL{u: u}, "any": []any{u, &u, hidden{u}},
		"key map": keys, "value map": values, "pointer to key map": &keys, "hidden maps": hiddenMaps{keys, values},
	}
	for what, v := range things {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%t", "%p", "%e", "%U", "%T", "%w", "%-30v", "%.60s"} {
			text := fmt.Sprintf(verb, v)
			out[verb+" of "+what] = text
		}
		var text, js bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("m", "u", v)
		slog.New(slog.NewJSONHandler(&js, nil)).Info("m", "u", v)
		out["slog text of "+what], out["slog JSON of "+what] = text.String(), js.String()
		if data, err := json.Marshal(v); err == nil {
			out["JSON of "+what] = string(data)
		}
	}
	return out
}

func TestPasswordsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"postgres://user:HUNTER2@host:5432/db?sslmode=disable",
		"postgres://user:pre@HUNTER2@host/db",
		"postgres://user:pre/HUNTER2@host/db",
		"postgres://a:HUNTER2@h1:1,h2:2/db",
		"postgres://host/db?sslpassword=HUNTER2&PassWd=HUNTER2&x_Token=HUNTER2&pwd=HUNTER2&client-secret=HUNTER2",
		"postgres://host/db?password=a&password=HUNTER2",
		"mem:#password=HUNTER2&secret=a=HUNTER2",
		"mem:?p%61ssword=HUNTER2",
		"sqlite:x.db?key=HUNTER2&_auth=HUNTER2",
	} {
		u := parse(t, in)
		if !strings.Contains(u.DSN(), "HUNTER2") {
			t.Errorf("the DSN of %q lost the password: %q", in, u.DSN())
		}
		for how, text := range printings(t, u) {
			for _, leak := range []string{"HUNTER2", fmt.Sprintf("%x", "HUNTER2"), fmt.Sprintf("%X", "HUNTER2"), fmt.Sprintf("% x", "HUNTER2")} {
				if strings.Contains(text, leak) {
					t.Fatalf("%s shows the password of %s: %s", how, in, text)
				}
			}
		}
	}
}

func TestPrintsAsText(t *testing.T) {
	t.Parallel()
	u := parse(t, "postgres://u:p@h/db")
	for verb, want := range map[string]string{
		"%v": "postgres://u:xxxxx@h/db", "%+v": "postgres://u:xxxxx@h/db", "%s": "postgres://u:xxxxx@h/db",
		"%q": `"postgres://u:xxxxx@h/db"`, "%#v": `url.URL("postgres://u:xxxxx@h/db")`, "%26s": "   postgres://u:xxxxx@h/db", "%.8s": "postgres",
	} {
		if got := fmt.Sprintf(verb, u); got != want {
			t.Errorf("%s: %s, want %s", verb, got, want)
		}
		if got := fmt.Sprintf(verb, &u); got != want {
			t.Errorf("%s of a pointer: %s, want %s", verb, got, want)
		}
	}
	if got := fmt.Sprintf("%+v", struct{ u URL }{u}); !strings.Contains(got, "postgres://u:xxxxx@h/db") {
		t.Errorf("an unexported field prints as %s, without the redacted URL", got)
	}
	if got := fmt.Sprint((*URL)(nil)); got != "<nil>" {
		t.Errorf("a nil pointer prints as %s", got)
	}
	data, err := json.Marshal(map[string]any{"u": u})
	if err != nil || string(data) != `{"u":"postgres://u:xxxxx@h/db"}` {
		t.Errorf("JSON: %s, %v", data, err)
	}
}

func TestErrorsNeverHoldThePassword(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		junk := rapid.StringOf(rapid.RuneFrom([]rune("ab1:/?#@%[],;= \x00é")))
		s := rapid.SampledFrom([]string{"postgres://", "mysql:", "file://", "sqlite:", "a+b://", "", "bad_scheme://"}).Draw(t, "scheme") +
			"user:" + junk.Draw(t, "before") + "HUNTER2" + junk.Draw(t, "between") + "@" + junk.Draw(t, "host") + "/db"
		if _, err := Parse(s); err != nil && strings.Contains(err.Error(), "HUNTER2") {
			t.Fatalf("%q: %v", s, err)
		}
	})
}

// TestAnyPassword puts every kind of password, escaped or raw, into a URL with a host: it is read
// as such or refused, never printed.
func TestAnyPassword(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		junk := rapid.StringOf(rapid.RuneFrom([]rune("ab1:/?#@[],;=& +é")))
		password := junk.Draw(t, "before") + "HUNTER2" + junk.Draw(t, "after")
		tail := rapid.SampledFrom([]string{"@host/db", "@host:5432/db?user=x", "@a:1,b:2/db#table=t", "@[::1]"}).Draw(t, "tail")
		u, err := Parse("postgres://me:" + escape(password, "") + tail)
		if err != nil || u.Password() != password {
			t.Fatalf("escaped: read as %q: %v", u.Password(), err)
		}
		raw, err := Parse("postgres://me:" + password + tail)
		if err == nil && raw != u {
			t.Fatalf("raw: read as %q, not as %q", raw.DSN(), u.DSN())
		}
		if strings.Contains(u.String(), "HUNTER2") {
			t.Fatalf("printed: %v", u)
		}
	})
}

func TestZeroURL(t *testing.T) {
	t.Parallel()
	var u URL
	if diff := cmp.Diff(fields{}, fieldsOf(u)); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if !u.IsZero() || u.String() != "" || u.DSN() != "" || u.Join("x") != u || u.Hosts() != nil || u.Query() == nil {
		t.Error("the zero URL is not empty")
	}
	if parse(t, "mem:").IsZero() {
		t.Error("mem: is zero")
	}
}

func TestQueryIsACopy(t *testing.T) {
	t.Parallel()
	u := parse(t, "mem:?a=1")
	u.Query().Set("a", "2")
	if got := u.Query().Get("a"); got != "1" {
		t.Errorf("changed to %s", got)
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, base, rel, want string }{
		{"a relative path is added", "/tmp/x", "a/b", "file:///tmp/x/a/b"},
		{"nothing is added for nothing", "/tmp/x", "", "file:///tmp/x"},
		{"nothing is added for a dot", "/tmp/x", "./.", "file:///tmp/x"},
		{"an absolute path is relative", "/tmp/x", "/a", "file:///tmp/x/a"},
		{"it never leads upward", "/tmp/x", "../../a/../../b", "file:///tmp/x/b"},
		{"dots of the base stay", "../x/..", "a", "file:../x/../a"},
		{"the root", "/", "a", "file:///a"},
		{"an empty path", "file:", "a", "file:a"},
		{"an empty path gains no drive", "file:", "C:/a", "file:./C:/a"},
		{"the working directory gains no drive", ".", "C:/a", "file:./C:/a"},
		{"the root gains no drive", "/", "C:/a", "file:///C%3A/a"},
		{"it is not decoded", "/tmp", "a%20b?#", "file:///tmp/a%2520b%3F%23"},
		{"backslashes lead nowhere on a drive", `C:\x`, `..\..\y`, "file:C:/x/y"},
		{"query and fragment are kept", "sqlite:/x?a=1#table=t", "y.db", "sqlite:///x/y.db?a=1#table=t"},
		{"a host without a path", "s3://bucket", "a", "s3://bucket/a"},
		{"a user without a host", "postgres://u@", "db", "postgres://u@/db"},
		{"an opaque path", "mem:a", "b", "mem:a/b"},
		{"an empty opaque path", "mem:", "b", "mem:b"},
		{"a NUL gives no URL", "/tmp", "a\x00b", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := parse(t, tt.base).Join(tt.rel)
			if got.DSN() != tt.want {
				t.Fatalf("%q, want %q", got.DSN(), tt.want)
			}
			if again, err := fromStored(got.DSN()); err != nil || again != got {
				t.Errorf("parsed again: %q, %v", again.DSN(), err)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	var urls []URL
	for _, s := range []string{"postgres://u:b@h/db", "mem:", "/tmp/b", "postgres://u:a@h/db", "/tmp/a"} {
		urls = append(urls, parse(t, s))
	}
	urls = append(urls, URL{})
	slices.SortFunc(urls, Compare)
	var got []string
	for _, u := range urls {
		got = append(got, u.DSN())
	}
	want := []string{"", "file:///tmp/a", "file:///tmp/b", "mem:", "postgres://u:a@h/db", "postgres://u:b@h/db"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if a := parse(t, "postgres://u:a@h/db"); a.Equal(parse(t, "postgres://u:b@h/db")) || !a.Equal(parse(t, "POSTGRES://u:a@H/db")) {
		t.Error("Equal")
	}
}

func TestMarshalBinaryKeepsAll(t *testing.T) {
	t.Parallel()
	type job struct{ Input, None URL }
	in := job{Input: parse(t, "postgres://u:s3cret@h/db?password=x")}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(in); err != nil {
		t.Fatal(err)
	}
	var out job
	if err := gob.NewDecoder(&buf).Decode(&out); err != nil || out != in {
		t.Errorf("came back as %q, %q: %v", out.Input.DSN(), out.None.DSN(), err)
	}
	u := in.Input
	if err := u.UnmarshalBinary([]byte("postgres://u:p/db")); err == nil || u != in.Input {
		t.Errorf("a bad URL gives error %v and leaves %q", err, u.DSN())
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "/tmp/x", `C:\x`, "sqlite:////a//b", "sqlite::memory:", "file:./C:/x", "postgres://u:p@h:1,[::1%25e]:2/db?x=%20#table=t",
		"a+b+c://:p@/%2f?a&b=&=c", "mysql://u:p/@h", "mem:%3A?&&#a=b&password=%2b", "file:///C%3A/", "x-y.z://%2Frun@",
	} {
		f.Add(s, "../a")
	}
	f.Fuzz(func(t *testing.T, s, rel string) {
		u, err := Parse(s)
		if err != nil {
			if u != (URL{}) {
				t.Fatalf("error %v comes with a URL", err)
			}
			return
		}
		again, err := Parse(u.DSN())
		if err != nil || again != u {
			t.Fatalf("%q has the DSN %q, which reads %+v, not %+v: %v", s, u.DSN(), fieldsOf(again), fieldsOf(u), err)
		}
		if _, err := Parse(u.String()); err != nil {
			t.Fatalf("%q prints as %q: %v", s, u, err)
		}
		for i := range len(u.String()) {
			if c := u.String()[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' {
				t.Fatalf("%q prints with the byte %q", s, c)
			}
		}
		if u.Password() != "" && !strings.Contains(u.String(), redacted+"@") {
			t.Fatalf("%q prints as %q, which is not redacted", s, u)
		}
		_, _ = u.Table(), u.Query()
		joined := u.Join(rel)
		if joined.IsZero() {
			return
		}
		if bare := regexp.MustCompile(`^(\.(/|$))?/?`); !strings.HasPrefix(bare.ReplaceAllString(joined.Path(), ""), bare.ReplaceAllString(u.Path(), "")) {
			t.Fatalf("%q joined with %q leads to %q", u.Path(), rel, joined.Path())
		}
		if strings.Count("/"+joined.Path()+"/", "/../") > strings.Count("/"+u.Path()+"/", "/../") {
			t.Fatalf("%q joined with %q leads to %q", u.Path(), rel, joined.Path())
		}
		if again, err := Parse(joined.DSN()); err != nil || again != joined {
			t.Fatalf("%q joined with %q: %q does not parse to itself: %v", s, rel, joined.DSN(), err)
		}
	})
}

func TestWithoutParam(t *testing.T) {
	t.Parallel()
	u := parse(t, "postgres://me:secret@host/db?b=2&mode=ro&a=1&mode=rw#table=x")
	if got, want := u.WithoutParam("mode"), parse(t, "postgres://me:secret@host/db?a=1&b=2#table=x"); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := u.WithoutParam("none"); got != u {
		t.Errorf("without what it has not it is %v", got)
	}
	if got := (URL{}).WithoutParam("mode"); !got.IsZero() {
		t.Errorf("of nothing: %v", got)
	}
}
