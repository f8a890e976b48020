package codec

import (
	"archive/tar"
	"bytes"
	linked "container/list"
	"database/sql"
	"encoding/asn1"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"hash/maphash"
	"html/template"
	"image"
	"image/color"
	"io/fs"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"net/mail"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unique"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

// The types of the standard library that objects have as fields come back as they were, or are
// refused: as fields, elements, values of maps, behind pointers and interfaces.
func TestTypesOfTheStandardLibrary(t *testing.T) {
	t.Parallel()
	newYork := mustLoad(t, "America/New_York")
	at := time.Date(2024, 3, 8, 9, 0, 0, 1, newYork)
	u, err := url.Parse("https://user:p%40ss@example.org/a%2fb?q=1&q=2#f")
	if err != nil {
		t.Fatal(err)
	}
	_, network, err := net.ParseCIDR("2001:db8::/32")
	if err != nil {
		t.Fatal(err)
	}
	kept := []any{
		at, time.Second, time.May, time.Friday,
		*u, url.Values{"a": {"1", "2"}, "b": nil}, http.Header{"A": {"b"}}, http.Cookie{Name: "a", Expires: at}, http.SameSiteLaxMode,
		net.ParseIP("::1"), *network, net.HardwareAddr{1, 2, 3, 4, 5, 6}, net.TCPAddr{IP: net.ParseIP("::1"), Port: 5, Zone: "eth0"},
		netip.MustParseAddr("fe80::1%eth0"), netip.Addr{}, netip.MustParseAddrPort("1.2.3.4:5"), netip.MustParsePrefix("10.0.0.0/8"),
		*new(big.Int).Lsh(big.NewInt(-7), 300), *big.NewRat(1, 3), *big.NewFloat(0.1), big.ToZero,
		json.RawMessage(`{"a":1}`), json.Number("12345678901234567890"), xml.Name{Space: "s", Local: "l"}, template.HTML("<b>"),
		sql.NullString{String: "a", Valid: true}, sql.NullTime{Time: at, Valid: true}, sql.Null[int8]{V: 5, Valid: true}, sql.RawBytes("x"),
		asn1.ObjectIdentifier{1, 2}, asn1.BitString{Bytes: []byte{1}, BitLength: 3},
		fs.FileMode(0o755), syscall.SIGINT, slog.LevelWarn + 1,
		color.RGBA{1, 2, 3, 4}, image.Rect(0, 1, 2, 3), *image.NewGray(image.Rect(0, 0, 2, 2)),
		tar.Header{Name: "a", ModTime: at, PAXRecords: map[string]string{"a": "b"}}, mail.Address{Name: "a", Address: "b@c"},
		debug.BuildInfo{GoVersion: "x", Deps: []*debug.Module{{Path: "a", Replace: &debug.Module{Path: "b"}}}},
		*rand.NewPCG(1, 2), *rand.NewChaCha8([32]byte{1}), *regexp.MustCompile("a+(b|c)*"),
	}
	for _, v := range kept {
		t.Run(reflect.TypeOf(v).String(), func(t *testing.T) {
			t.Parallel()
			c := New(testConfig)
			typ := reflect.TypeOf(v)
			if _, err := c.TypeName(typ); err != nil {
				t.Fatal(err)
			}
			if typ != timeType && typ != reflect.TypeFor[time.Duration]() {
				if err := c.Register("std."+typ.Name(), typ); err != nil {
					t.Fatal(err)
				}
			}
			ptr := reflect.New(typ)
			ptr.Elem().Set(reflect.ValueOf(v))
			all := reflect.New(reflect.StructOf([]reflect.StructField{
				{Name: "Value", Type: typ},
				{Name: "Omit", Type: typ, Tag: `msgpack:",omitempty"`},
				{Name: "Pointer", Type: ptr.Type()},
				{Name: "Slice", Type: reflect.SliceOf(typ)},
				{Name: "Array", Type: reflect.ArrayOf(2, typ)},
				{Name: "Map", Type: reflect.MapOf(reflect.TypeFor[string](), typ)},
				{Name: "Any", Type: anyType},
				{Name: "AnyPointer", Type: anyType},
			})).Elem()
			all.Field(0).Set(ptr.Elem())
			all.Field(1).Set(ptr.Elem())
			all.Field(2).Set(ptr)
			all.Field(3).Set(reflect.Append(all.Field(3), ptr.Elem(), ptr.Elem()))
			all.Field(4).Index(0).Set(ptr.Elem())
			all.Field(4).Index(1).Set(ptr.Elem())
			all.Field(5).Set(reflect.MakeMap(all.Field(5).Type()))
			all.Field(5).SetMapIndex(reflect.ValueOf("k"), ptr.Elem())
			all.Field(6).Set(ptr.Elem())
			all.Field(7).Set(ptr)
			in := all.Addr().Interface()
			got := roundTrip(t, c, newWorld(), in)
			if diff := cmp.Diff(in, got, compareAll, sameZone, cmp.Comparer(sameFloat), cmp.Comparer(sameRegexp), cmp.Comparer(sameInt)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			checkGeneric(t, c, encode(t, c, newWorld(), in), testLimits)
		})
	}
	for _, v := range []any{
		new(bytes.Buffer), new(strings.Builder), strings.NewReader("x"), linked.New(), flag.NewFlagSet("x", flag.PanicOnError),
		new(atomic.Int64), new(atomic.Bool), new(atomic.Value), new(atomic.Pointer[int]), new(sync.Map), new(sync.Pool),
		slog.Default(), slog.Int("a", 1), slog.Record{}, url.User("a"), newYork, time.NewTimer(time.Hour), unique.Make("a"), maphash.MakeSeed(),
		[]error{errors.New("x")}, image.NewPaletted(image.Rect(0, 0, 1, 1), color.Palette{color.Black}), reflect.ValueOf(1),
	} {
		if _, err := New(testConfig).NewEncoder(testLimits, newWorld()).Encode(v, nil); !errors.Is(err, driver.ErrUnstorable) {
			t.Errorf("%T: %v", v, err)
		}
	}
}

func sameRegexp(a, b regexp.Regexp) bool { return a.String() == b.String() }

func sameInt(a, b big.Int) bool { return a.Cmp(&b) == 0 }
