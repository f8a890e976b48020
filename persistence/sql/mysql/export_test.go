package mysql

// Pinned returns the session variables that every connection is set to, and their values.
func Pinned() map[string]string {
	values := map[string]string{}
	for _, p := range pins {
		values[p.name] = p.value
	}
	return values
}

// Examined are the session variables that are looked at when a store is opened.
var Examined = examined

// Stale is what the engine asks about a statement that gave an error.
var Stale = stale
