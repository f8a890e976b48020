package web

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"html/template"
	"io"
	"regexp"
	"slices"
	"strings"
)

const (
	maxPicture      = 8 << 20 // bytes of a picture
	maxPictureDepth = 200     // of elements in elements
)

// A shape says which attributes an element of SVG keeps.
type shape []string

// shapes are the elements that are kept. Nothing that runs, loads or animates is among them, and no
// style, which the Content-Security-Policy refuses.
var shapes = map[string]shape{
	"svg":      {"width", "height", "viewBox", "preserveAspectRatio"},
	"g":        {},
	"a":        {"href"},
	"title":    {},
	"desc":     {},
	"text":     {"x", "y", "dx", "dy", "text-anchor", "font-family", "font-size", "font-weight", "font-style", "dominant-baseline"},
	"tspan":    {"x", "y", "dx", "dy", "text-anchor", "font-family", "font-size", "font-weight", "font-style"},
	"polygon":  {"points"},
	"polyline": {"points"},
	"path":     {"d"},
	"rect":     {"x", "y", "width", "height", "rx", "ry"},
	"circle":   {"cx", "cy", "r"},
	"ellipse":  {"cx", "cy", "rx", "ry"},
	"line":     {"x1", "y1", "x2", "y2"},
}

// common are the attributes that every element keeps.
var common = []string{"class", "transform", "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "opacity", "id"}

var (
	// plainAttribute is what attributes may hold: numbers, words, colours and simple functions such
	// as translate(1 2), and no addresses.
	plainAttribute = regexp.MustCompile(`^[A-Za-z0-9 .,#%()+\-_\n\t]*$`)
	// nodeID are the only names that are kept, so that no picture takes those of the page.
	nodeID = regexp.MustCompile(`^[nm][0-9]+$`)
	// pageLink are the addresses to which a picture may lead: pages of this handler.
	pageLink = regexp.MustCompile(`^(graph|record)\?[A-Za-z0-9%&=+._~\-*]*(#n[0-9]+)?$`)
)

// sanitize makes SVG for a page that has nothing but shapes, texts and links to the handler's own
// pages. Everything else is dropped; what is no SVG is an error.
func sanitize(svg []byte) (template.HTML, error) {
	if len(svg) > maxPicture {
		return "", fmt.Errorf("the picture is %s large, at most %s", bytesText(int64(len(svg))), bytesText(maxPicture))
	}
	d := xml.NewDecoder(bytes.NewReader(svg))
	d.Entity = xml.HTMLEntity
	var c cleaner
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", fmt.Errorf("the picture is no SVG: %w", err)
		}
		if err := c.token(token); err != nil {
			return "", err
		}
	}
	if !c.begun {
		return "", errors.New("the picture is no SVG: it has no element svg")
	}
	return template.HTML(c.b.String()), nil
}

// A cleaner writes what is kept of a picture.
type cleaner struct {
	b       strings.Builder
	begun   bool // the element svg has begun, which may have ended
	depth   int  // of elements that are kept
	dropped int  // of those in an element that is dropped
}

func (c *cleaner) token(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		attributes, known := shapes[t.Name.Local]
		if c.dropped > 0 || !known || !c.fits(t.Name.Local) {
			c.dropped++
			return nil
		}
		c.begun = true
		if c.depth++; c.depth > maxPictureDepth {
			return fmt.Errorf("the picture has elements nested over %d deep", maxPictureDepth)
		}
		openElement(&c.b, t, attributes)
	case xml.EndElement:
		if c.dropped > 0 {
			c.dropped--
			return nil
		}
		c.depth--
		c.b.WriteString("</" + t.Name.Local + ">")
	case xml.CharData:
		if c.dropped == 0 && c.depth > 0 {
			c.b.WriteString(html.EscapeString(visible(strings.TrimRight(string(t), "\r\n"))))
		}
	}
	return nil
}

// fits reports whether an element may stand where it does: one svg has all the others in it.
func (c *cleaner) fits(name string) bool {
	if name == "svg" {
		return !c.begun
	}
	return c.depth > 0
}

// openElement writes the beginning of an element with those attributes that it keeps.
func openElement(b *strings.Builder, e xml.StartElement, attributes shape) {
	b.WriteString("<" + e.Name.Local)
	if e.Name.Local == "svg" {
		b.WriteString(` class="graph" role="group" aria-label="Picture of the graph"`)
	}
	written := make(map[string]bool)
	for _, a := range e.Attr {
		name := a.Name.Local
		if written[name] || e.Name.Local == "svg" && name == "class" || !slices.Contains(attributes, name) && !slices.Contains(common, name) {
			continue
		}
		allowed := plainAttribute
		switch name {
		case "href":
			allowed = pageLink
		case "id":
			allowed = nodeID
		}
		if !allowed.MatchString(a.Value) || strings.Contains(strings.ToLower(a.Value), "url(") {
			continue
		}
		written[name] = true
		b.WriteString(" " + name + `="` + html.EscapeString(a.Value) + `"`)
	}
	b.WriteString(">")
}
