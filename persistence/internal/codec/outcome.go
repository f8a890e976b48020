package codec

// An Outcome is what Decode found out besides the object.
type Outcome struct {
	// Kept is what the record holds and the object has no place for, to be given to Encode with the
	// object. It is nil if there is nothing to keep.
	Kept *Kept
	// Unknown are the fields of the record that the types of this program lack, at most
	// maxUnknownPaths of them.
	Unknown []UnknownField
	// Differs says that encoding the object, with Kept, gives other bytes than those of the record.
	Differs bool
	// Old says that the record has a form which an older program gave it: an older version, or a
	// name that is an alias now, of its type, of a type in an interface or of a field, or a value
	// of a kind that was converted.
	Old bool
}

// An UnknownField is a field of a record that the type of this program lacks.
type UnknownField struct {
	Path  string
	Place UnknownPlace
}

// An UnknownPlace tells where the value of an unknown field is after Decode.
type UnknownPlace uint8

const (
	// Aside: in Outcome.Kept. It is lost with a value that has no place for that.
	Aside UnknownPlace = iota
	// Inside: in the struct itself, which embeds the type that keeps unknown fields.
	Inside
	// Lost: nowhere. It is of a struct that moves within its object, such as an element of a slice.
	Lost
)

const maxUnknownPaths = 64

// lostField returns the path of the first field that is nowhere, "" if there is none.
func (o *Outcome) lostField() string {
	for _, f := range o.Unknown {
		if f.Place == Lost {
			return f.Path
		}
	}
	return ""
}
