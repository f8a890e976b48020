package stress

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"github.com/brine-go/brine/persistence"
)

// The kinds of objects.
const (
	counter = "counter" // one object, raised by all, removed by none
	graph   = "graph"   // five objects that refer to each other, raised all at once, by all
	note    = "note"    // one object, written by its maker, removed by anyone
)

const graphSize = 5

// A Node is what clients store: a counter. Whoever raises it also counts in By, so that a client
// that does not know whether its save was the one that got through can see it, and so that every
// update has a name.
type Node struct {
	persistence.Persistable
	Key   string // unique among all objects ever made; the same in all nodes of a graph
	Kind  string
	Part  int // of a graph: 0 is the root
	N     int64
	By    map[string]int64 // worker -> how often; in the root alone
	Peers []*Node          // root: all the others; the others: the root and the next one
	Pad   []byte           // follows from the rest
}

func init() { persistence.Register[Node]("stress.Node") }

// State gives the store something to index.
func (n *Node) State() string { return n.Kind }

// newNode returns a new object, of N 0.
func newNode(key, kind string) *Node {
	root := &Node{Key: key, Kind: kind, By: map[string]int64{}}
	if kind == graph {
		for part := 1; part < graphSize; part++ {
			root.Peers = append(root.Peers, &Node{Key: key, Kind: kind, Part: part})
		}
		for i, n := range root.Peers {
			n.Peers = []*Node{root, root.Peers[(i+1)%len(root.Peers)]}
		}
	}
	root.fill()
	return root
}

// all returns the nodes of the object, its root first.
func (n *Node) all() []*Node {
	if n.Kind != graph {
		return []*Node{n}
	}
	return append([]*Node{n}, n.Peers...)
}

// raise counts one more, in the name of worker.
func (n *Node) raise(worker string) {
	for _, part := range n.all() {
		part.N++
	}
	n.By[worker]++
	n.fill()
}

func (n *Node) fill() {
	for _, part := range n.all() {
		part.Pad = padding(part.Key, part.Part, part.N)
	}
}

// padding returns bytes that no other node and no other version has.
func padding(key string, part int, n int64) []byte {
	h := fnv.New64a()
	fmt.Fprintln(h, key, part)
	random := rand.New(rand.NewPCG(h.Sum64(), uint64(n)))
	pad := make([]byte, 0, 800)
	for range 10 + random.IntN(80) {
		pad = binary.LittleEndian.AppendUint64(pad, random.Uint64())
	}
	return pad
}

// whole returns an error where the object, loaded by its root, is not as one save left it.
func (n *Node) whole() error {
	if err := n.sound(); err != nil {
		return err
	}
	if n.Part != 0 {
		return fmt.Errorf("%s: part %d where the root should be", n.Key, n.Part)
	}
	var sum int64
	for _, by := range n.By {
		sum += by
	}
	if sum != n.N {
		return fmt.Errorf("%s: raised to %d, and %d times by all together", n.Key, n.N, sum)
	}
	if n.Kind != graph {
		return nil
	}
	if len(n.Peers) != graphSize-1 {
		return fmt.Errorf("%s: a graph of %d nodes", n.Key, len(n.Peers)+1)
	}
	for i, p := range n.Peers {
		if err := p.sound(); err != nil {
			return err
		}
		if p.Key != n.Key || p.Part != i+1 {
			return fmt.Errorf("%s: part %d is part %d of %s", n.Key, i+1, p.Part, p.Key)
		}
		if p.N != n.N {
			return fmt.Errorf("%s is half saved: part 0 is at %d, part %d at %d", n.Key, n.N, p.Part, p.N)
		}
		if len(p.Peers) != 2 || p.Peers[0] != n || p.Peers[1] != n.Peers[(i+1)%len(n.Peers)] {
			return fmt.Errorf("%s: part %d refers to other nodes than it should", n.Key, p.Part)
		}
	}
	return nil
}

// sound returns an error where one node is not as one save left it.
func (n *Node) sound() error {
	if n == nil {
		return fmt.Errorf("a node is nil")
	}
	if !bytes.Equal(n.Pad, padding(n.Key, n.Part, n.N)) {
		return fmt.Errorf("%s: part %d, at %d, holds the bytes of something else", n.Key, n.Part, n.N)
	}
	return nil
}
