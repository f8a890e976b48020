package url

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKeyMap(t *testing.T) {
	t.Parallel()
	var m KeyMap[int]
	if v, ok := m.Get("/tmp/x"); ok || v != 0 || m.Len() != 0 {
		t.Error("the zero map is not empty")
	}
	m.Delete("/tmp/x")
	for key, v := range map[string]int{"/tmp/x": 1, "mem:": 2, "postgres://u:p@h/db": 3} {
		if err := m.Set(key, v); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range map[string]int{"file:///tmp/x": 1, "FILE:/tmp//x/": 1, "/tmp/./x": 1, "postgres://u:p@H:/db": 3} {
		if v, ok := m.Get(key); !ok || v != want {
			t.Errorf("%s: %d, %t, want %d", key, v, ok, want)
		}
	}
	for _, key := range []string{"", "postgres://u:p", "postgres://u:q@h/db", "/tmp"} {
		if v, ok := m.Get(key); ok {
			t.Errorf("%q is there: %d", key, v)
		}
	}
	if err := m.Set("postgres://u:HUNTER2/db", 4); err == nil || strings.Contains(err.Error(), "HUNTER2") {
		t.Errorf("a key that is no URL: %v", err)
	}
	m.SetURL(parse(t, "file:///tmp/x"), 5)
	if m.Len() != 3 {
		t.Errorf("%d keys", m.Len())
	}
	var got []string
	for u, v := range m.All() {
		got = append(got, fmt.Sprint(u, v))
		m.Delete("mem:")
	}
	if diff := cmp.Diff([]string{"file:///tmp/x 5", "postgres://u:xxxxx@h/db 3"}, got); diff != "" {
		t.Errorf("entries, one deleted on the way (-want +got):\n%s", diff)
	}
	for range m.All() {
		break
	}
	m.DeleteURL(parse(t, "/tmp/x"))
	if _, ok := m.GetURL(parse(t, "/tmp/x")); ok || m.Len() != 1 {
		t.Error("a deleted key is there")
	}
}

func TestValueMap(t *testing.T) {
	t.Parallel()
	var m ValueMap[int]
	if u, ok := m.Get(1); ok || !u.IsZero() || m.Len() != 0 {
		t.Error("the zero map is not empty")
	}
	m.Delete(1)
	for key, u := range map[int]string{10: "/tmp/x", 9: "file:///tmp/x", 1: "mem:", -1: "/a"} {
		if err := m.Set(key, u); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Set(2, "postgres://u:HUNTER2/db"); err == nil || strings.Contains(err.Error(), "HUNTER2") {
		t.Errorf("a value that is no URL: %v", err)
	}
	if _, ok := m.Get(2); ok {
		t.Error("a value that is no URL is there")
	}
	m.SetURL(3, URL{})
	var got []string
	for k, u := range m.All() {
		got = append(got, fmt.Sprint(k, " ", u))
		m.Delete(1)
	}
	if diff := cmp.Diff([]string{"3 ", "-1 file:///a", "9 file:///tmp/x", "10 file:///tmp/x"}, got); diff != "" {
		t.Errorf("entries, one deleted on the way (-want +got):\n%s", diff)
	}
	if u, ok := m.Get(9); !ok || u != parse(t, "/tmp/x") {
		t.Errorf("got %v, %t", u, ok)
	}
}

func TestValueMapOrdersKeysOfAnyType(t *testing.T) {
	t.Parallel()
	type point struct{ X, Y int }
	u := parse(t, "mem:")
	for _, tt := range []struct{ got, want string }{
		{orderOf(u, uint8(10), 9), "[9 10]"},
		{orderOf(u, 2.5, -1), "[-1 2.5]"},
		{orderOf(u, "b", "a"), "[a b]"},
		{orderOf(u, point{2, 1}, point{1, 2}), "[{1 2} {2 1}]"},
		{orderOf[any](u, "b", 1), "[1 b]"},
		{orderOf(u, parse(t, "/b"), parse(t, "/a")), "[file:///a file:///b]"},
	} {
		if tt.got != tt.want {
			t.Errorf("order %s, want %s", tt.got, tt.want)
		}
	}
}

func orderOf[K comparable](u URL, keys ...K) string {
	var m ValueMap[K]
	for _, k := range keys {
		m.SetURL(k, u)
	}
	var got []K
	for k := range m.All() {
		got = append(got, k)
	}
	return fmt.Sprint(got)
}

func TestStoredForm(t *testing.T) {
	t.Parallel()
	secret := parse(t, "postgres://u:s3cret@h/db")
	var keys KeyMap[*int]
	if keys.StoredForm() != nil {
		t.Error("the zero KeyMap has a stored form")
	}
	one := 1
	keys.SetURL(secret, &one)
	keys.SetURL(URL{}, nil)
	form := keys.StoredForm()
	if diff := cmp.Diff(map[string]*int{"postgres://u:s3cret@h/db": &one, "": nil}, form); diff != "" {
		t.Errorf("KeyMap (-want +got):\n%s", diff)
	}
	var again KeyMap[*int]
	if err := again.SetStoredForm(form); err != nil {
		t.Fatal(err)
	}
	if v, ok := again.GetURL(secret); !ok || v != &one || again.Len() != 2 {
		t.Errorf("KeyMap came back as %v", again)
	}
	for _, bad := range []map[string]*int{{"postgres://u:HUNTER2/db": nil}, {"/tmp/x": nil, "file:/tmp/x": nil}} {
		if err := again.SetStoredForm(bad); err == nil || strings.Contains(err.Error(), "HUNTER2") || again.Len() != 2 {
			t.Errorf("%v: error %v, and %v is left", bad, err, again)
		}
	}
	if err := again.SetStoredForm(nil); err != nil || again.StoredForm() != nil {
		t.Error("a nil form is not the zero KeyMap")
	}
	if err := again.SetStoredForm(map[string]*int{}); err != nil || again.StoredForm() == nil {
		t.Error("an empty form is the zero KeyMap")
	}

	var values ValueMap[string]
	if values.StoredForm() != nil {
		t.Error("the zero ValueMap has a stored form")
	}
	values.SetURL("a", secret)
	values.SetURL("b", URL{})
	vform := values.StoredForm()
	if diff := cmp.Diff(map[string]string{"a": "postgres://u:s3cret@h/db", "b": ""}, vform); diff != "" {
		t.Errorf("ValueMap (-want +got):\n%s", diff)
	}
	var vagain ValueMap[string]
	if err := vagain.SetStoredForm(vform); err != nil {
		t.Fatal(err)
	}
	if u, ok := vagain.Get("a"); !ok || u != secret || vagain.Len() != 2 {
		t.Errorf("ValueMap came back as %v", vagain)
	}
	if err := vagain.SetStoredForm(map[string]string{"x": "postgres://u:HUNTER2/db"}); err == nil || strings.Contains(err.Error(), "HUNTER2") || vagain.Len() != 2 {
		t.Errorf("error %v, and %v is left", err, vagain)
	}
	if err := vagain.SetStoredForm(nil); err != nil || vagain.StoredForm() != nil {
		t.Error("a nil form is not the zero ValueMap")
	}
}

func TestMapsPrintLikeMaps(t *testing.T) {
	t.Parallel()
	var keys KeyMap[int]
	var values ValueMap[string]
	if got := fmt.Sprintf("%v %v", keys, values); got != "map[] map[]" {
		t.Error(got)
	}
	keys.SetURL(parse(t, "postgres://u:p@h/db"), 1)
	keys.SetURL(parse(t, "/tmp/x"), 2)
	values.SetURL("k", parse(t, "postgres://u:p@h/db"))
	if got, want := fmt.Sprintf("%v %+v", keys, &values), "map[file:///tmp/x:2 postgres://u:xxxxx@h/db:1] map[k:postgres://u:xxxxx@h/db]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	data, err := json.Marshal([]any{keys, values, KeyMap[int]{}, ValueMap[int]{}})
	want := `[{"file:///tmp/x":2,"postgres://u:xxxxx@h/db":1},{"k":"postgres://u:xxxxx@h/db"},{},{}]`
	if err != nil || string(data) != want {
		t.Errorf("JSON %s, %v, want %s", data, err, want)
	}
}
