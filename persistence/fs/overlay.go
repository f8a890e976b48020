package fs

import "strings"

// An overlay is what the members of a group so far have changed.
type overlay struct {
	byName map[string]*change // by full file name, in lower case where case is folded
	order  []*change          // those of byName

	folds bool
	// dependent: the group must be made as a whole, because a member has several changes, or
	// has looked at what one before it changes.
	dependent bool
}

func (o *overlay) key(f file) string {
	if o.folds {
		return strings.ToLower(f.fullName())
	}
	return f.fullName()
}

// get returns what has become of a file; nil: nothing has.
func (o *overlay) get(f file) *change {
	if o == nil {
		return nil
	}
	c := o.byName[o.key(f)]
	o.dependent = o.dependent || c != nil
	return c
}

// add adds the changes of one member.
func (o *overlay) add(changes []change) {
	o.dependent = o.dependent || len(changes) > 1
	for i := range changes {
		c := changes[i] // a copy, for later members to replace
		if old := o.byName[o.key(c.file)]; old != nil {
			c.fresh = old.fresh
			*old = c
			continue
		}
		o.byName[o.key(c.file)] = &c
		o.order = append(o.order, &c)
	}
}

// changes returns what the members come down to together.
func (o *overlay) changes() []change {
	var all []change
	for _, c := range o.order {
		if !c.remove || !c.fresh { // else it came and went
			all = append(all, *c)
		}
	}
	return all
}
