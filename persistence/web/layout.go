package web

// The work of a layout in layers grows much faster than the number of references: 1,500 among 300
// records take a second if they lead from each layer to the next, and minutes if they lead
// anywhere. It is bounded by the number of layers that they cross.
const (
	carefulLayers = 2000 // up to here the layout takes all the care that it can
	maxLayers     = 4500 // and up to here less: a second in both cases
)

// layout returns the attributes of the layout of a neighbourhood. A layout in layers shows best
// what comes after what. What has too many references for that is drawn in rings around the centre,
// which takes a moment for any graph. A program may be unable to stop Graphviz while it draws, so
// the time that it takes must be short.
func (n *neighbourhood) layout() string {
	crossed := n.layers()
	switch {
	case crossed <= carefulLayers:
		return ""
	case crossed <= maxLayers:
		return ", mclimit=0.1, nslimit=0.1, nslimit1=0.1, searchsize=10"
	}
	return ", layout=twopi, root=n1, overlap=scale, splines=line, outputorder=edgesfirst"
}

// layers returns about how many layers the edges cross in a layout in layers, all together: each
// crossing is a node of that layout.
func (n *neighbourhood) layers() int {
	out := make(map[*graphNode][]*graphNode, len(n.nodes))
	for _, e := range n.edges {
		out[e.from] = append(out[e.from], e.to)
	}
	// As Graphviz does it: an edge that closes a cycle, found depth first, counts as reversed, and
	// a node is one layer after the last one of those that lead to it.
	place, next := make(map[*graphNode]int, len(n.nodes)), len(n.nodes)
	seen := make(map[*graphNode]bool, len(n.nodes))
	var visit func(g *graphNode)
	visit = func(g *graphNode) { // at most maxGraphNodes deep
		seen[g] = true
		for _, to := range out[g] {
			if !seen[to] {
				visit(to)
			}
		}
		next--
		place[g] = next
	}
	for _, g := range n.nodes {
		if !seen[g] {
			visit(g)
		}
	}
	forward := make([][]int, len(n.nodes))
	for _, e := range n.edges {
		from, to := place[e.from], place[e.to]
		forward[min(from, to)] = append(forward[min(from, to)], max(from, to))
	}
	layer, sum := make([]int, len(n.nodes)), 0
	for from, tos := range forward {
		for _, to := range tos {
			if to != from {
				layer[to] = max(layer[to], layer[from]+1)
			}
		}
	}
	for from, tos := range forward {
		for _, to := range tos {
			sum += layer[to] - layer[from]
		}
	}
	return sum
}
