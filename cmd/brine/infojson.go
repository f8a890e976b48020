package main

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/brine-go/brine/persistence"
)

// An infoJSON is the form of an Info for programs. Its names stay as they are; they are those of
// persistence.Record.MarshalJSON.
type infoJSON struct {
	ID       persistence.ID `json:"id"`
	Type     string         `json:"type"`
	State    string         `json:"state"`
	Revision int64          `json:"revision"`
	Size     int64          `json:"size"`
	Created  time.Time      `json:"created"`
	Modified time.Time      `json:"modified"`
	Fields   map[string]any `json:"fields"`
}

func jsonInfo(info *persistence.Info) infoJSON {
	fields := make(map[string]any, len(info.Fields))
	for name, v := range info.Fields {
		fields[name] = jsonValue(v)
	}
	return infoJSON{info.ID, info.Type, info.State, info.Revision, info.Size, info.Created, info.Modified, fields}
}

// jsonValue returns a value of a column in the form that a record's JSON has: a float that is a
// whole number has a fraction of 0, and infinities are texts.
func jsonValue(v any) any {
	f, ok := v.(float64)
	switch {
	case !ok:
		return v
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	text := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return json.Number(text)
}
