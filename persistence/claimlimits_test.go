package persistence_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence"
)

func TestLimitsOfClaims(t *testing.T) {
	limits := []struct {
		name string
		o    persistence.ClaimOptions
		want error
	}{
		{"an owner of 255 characters", persistence.ClaimOptions{Owner: strings.Repeat("😀", 255), Lease: time.Minute}, nil},
		{"an owner of 255 spaces", persistence.ClaimOptions{Owner: strings.Repeat(" ", 255), Lease: time.Minute}, nil},
		{"an owner of 256 characters", persistence.ClaimOptions{Owner: strings.Repeat("x", 256), Lease: time.Minute}, persistence.ErrTooLarge},
		{"an owner of 255 characters and a space", persistence.ClaimOptions{Owner: strings.Repeat("x", 255) + " ", Lease: time.Minute}, persistence.ErrTooLarge},
		{"no owner", persistence.ClaimOptions{Lease: time.Minute}, errAny},
		{"an owner with a NUL", persistence.ClaimOptions{Owner: "a\x00", Lease: time.Minute}, persistence.ErrUnstorable},
		{"an owner that is not UTF-8", persistence.ClaimOptions{Owner: "\xff", Lease: time.Minute}, persistence.ErrUnstorable},
		{"the shortest lease", persistence.ClaimOptions{Owner: "me", Lease: time.Microsecond}, nil},
		{"a lease that is too short", persistence.ClaimOptions{Owner: "me", Lease: time.Microsecond - 1}, errAny},
		{"no lease", persistence.ClaimOptions{Owner: "me"}, errAny},
		{"a negative lease", persistence.ClaimOptions{Owner: "me", Lease: -1}, errAny},
		{"the longest lease", persistence.ClaimOptions{Owner: "me", Lease: math.MaxInt64}, nil},
		{"a lease of no whole microseconds", persistence.ClaimOptions{Owner: "me", Lease: time.Minute + 1}, nil},
		{"the greatest limit", persistence.ClaimOptions{Owner: "me", Lease: time.Minute, Limit: math.MaxInt}, nil},
		{"a negative limit", persistence.ClaimOptions{Owner: "me", Lease: time.Minute, Limit: -1}, errAny},
	}
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		id := must[persistence.ID](t)(s.Save(ctx, &Row{}))
		for _, l := range limits {
			t.Run(l.name, func(t *testing.T) {
				before := must[persistence.Info](t)(s.Stat(ctx, id))
				start := time.Now()
				claims, err := s.Claim(ctx, nil, l.o)
				wantRefused(t, err, l.want)
				if l.want != nil {
					if after := must[persistence.Info](t)(s.Stat(ctx, id)); after.Revision != before.Revision {
						t.Errorf("refused, and yet the revision is %d after %d", after.Revision, before.Revision)
					}
					return
				}
				if len(claims) != 1 {
					t.Fatalf("%d claims", len(claims))
				}
				c := claims[0]
				for kept, err := range s.Claims(ctx) {
					if err != nil || kept.Owner() != l.o.Owner || !kept.Until().Equal(c.Until()) || kept.Token() != c.Token() {
						t.Errorf("the claim is kept as %.20q, %v, %d, %v", kept.Owner(), kept.Until(), kept.Token(), err)
					}
				}
				until := c.Until()
				if until.Nanosecond()%1000 != 0 || until.Before(start.Add(l.o.Lease-time.Second)) || until.After(time.Now().Add(l.o.Lease).Add(time.Second)) {
					t.Errorf("a claim of %v at %v ends at %v", l.o.Lease, start, until)
				}
				for lease, want := range map[time.Duration]error{0: errAny, time.Microsecond - 1: errAny, -1: errAny, math.MaxInt64: nil, time.Microsecond: nil} {
					wantRefused(t, c.Extend(ctx, lease), want)
				}
				check(t, c.Release(ctx))
			})
		}
	})
}
