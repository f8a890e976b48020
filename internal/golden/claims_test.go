package golden

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

func TestClaims(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, c copied) {
		s := openStore(t, c)
		type claim struct {
			owner string
			token int64
			until int64 // Unix microseconds
		}
		got := map[persistence.ID]claim{}
		for _, cl := range collect(t, s.Claims(t.Context())) {
			got[cl.ID()] = claim{cl.Owner(), cl.Token(), cl.Until().UnixMicro()}
		}
		running, lapsed := claim{"worker 1", 2, untils[c.name]}, claim{"größe 2", 2, 1_000_000_000_000_001}
		if diff := cmp.Diff(map[persistence.ID]claim{"18": running, "20": lapsed}, got, cmp.AllowUnexported(claim{})); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		take := func(id persistence.ID) []*persistence.Claim {
			claims, err := s.Claim(t.Context(), where(persistence.Eq("id", id)), persistence.ClaimOptions{Owner: "test", Lease: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			return claims
		}
		if len(take("18")) != 0 {
			t.Error("a running claim keeps nobody away")
		}
		claims := take("20")
		if len(claims) != 1 {
			t.Fatal("a lapsed claim keeps others away")
		}
		if claims[0].Token() != 3 {
			t.Errorf("the token is %d, not the next revision", claims[0].Token())
		}
		if err := claims[0].Release(t.Context()); err != nil {
			t.Error(err)
		}
		// The owner of the running claim goes on under it, in another process.
		for _, cl := range collect(t, s.Claims(t.Context())) {
			if err := cl.Extend(t.Context(), time.Hour); err != nil {
				t.Errorf("%s: %v", cl.ID(), err)
			}
			if err := cl.Release(t.Context()); err != nil {
				t.Errorf("%s: %v", cl.ID(), err)
			}
		}
		if len(take("18")) != 1 {
			t.Error("a released object cannot be claimed")
		}
	})
}
