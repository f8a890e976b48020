package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// Save stores obj and everything persistable that it reaches, in one atomic write of the
// records that differ from what was last saved or loaded. It returns the ID of obj. A value
// that is not [Persistable] becomes a new record at each Save; an object keeps its ID.
//
// Save reads everything that obj reaches: none of it may change meanwhile. When Save returns an
// error, nothing was written and no object has changed: ErrConflict (someone else changed or
// removed a record), ErrUnstorable, ErrDangling, ErrTooLarge, … The exception is ErrUncertain:
// the records may have been written. A save that would drop what another version of the program
// stored is ErrUnstorable: see [Unknown]. (GC3Pie's SqlStore.save.)
//
// An object of another store gets a new record and, by default, a new ID here, as does all that it
// reaches. To copy a store use [Copy]: an object that a loop of All and Save meets on two pages has
// two records afterwards. That is logged once when there are more than 100 such objects.
func (c *conn) Save(ctx context.Context, obj any) (ID, error) {
	ids, err := c.save(ctx, saving{op: "save", deep: true}, obj)
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// SaveAll is Save for many roots: all of them are written, or none. The IDs are in the order of
// objs. Without objs it does nothing.
func (c *conn) SaveAll(ctx context.Context, objs ...any) ([]ID, error) {
	return c.save(ctx, saving{op: "save", deep: true}, objs...)
}

// SaveOnly stores the records of objs, and of the objects they refer to that were never saved
// in this store (and of those that these refer to, and so on), in one atomic write. Its cost
// depends on the size of objs, not of the graph. It reads only the objects named, those never
// saved, and the identities of the rest. Extractors and state functions must do the same if
// other goroutines change the rest meanwhile.
func (c *conn) SaveOnly(ctx context.Context, objs ...any) ([]ID, error) {
	return c.save(ctx, saving{op: "save"}, objs...)
}

// Insert stores the record of obj, and of the objects it refers to that were never saved, under
// an ID that the caller chooses. It returns ErrExists if the ID is taken and ErrInvalidID if no
// record of this store can have it. A persistable object has the new ID from then on.
func (c *conn) Insert(ctx context.Context, id ID, obj any) error {
	_, err := c.save(ctx, saving{op: "insert", under: id, rootOp: driver.Create}, obj)
	return err
}

// Replace overwrites the record with obj, and stores the objects it refers to that were never
// saved. It checks no revision: the last writer wins. It returns ErrNotFound if there is no
// record with the ID. A persistable object has that ID from then on. What a loaded obj keeps of
// another version of the program is written too; a new obj keeps nothing of what it overwrites.
// (GC3Pie's SqlStore.replace.)
func (c *conn) Replace(ctx context.Context, id ID, obj any) error {
	_, err := c.save(ctx, saving{op: "replace", under: id, rootOp: driver.Update}, obj)
	return err
}

// Put stores the record of obj, and those objects it refers to that were never saved, under an ID
// of the caller's choice, whether there is such a record or not: it is Replace if there is one,
// else Insert. It asks for no revision: the last writer wins. ErrInvalidID if no record of this
// store can have the ID. A persistable object has that ID from then on, whatever it had.
func (c *conn) Put(ctx context.Context, id ID, obj any) error {
	_, err := c.save(ctx, saving{op: "put", under: id, rootOp: driver.Put}, obj)
	return err
}

// saving holds the parameters of a save.
type saving struct {
	op        string
	deep      bool          // every object reached, else only the roots and objects never saved
	under     ID            // Insert, Replace: the ID of the root
	rootOp    driver.Op     // Insert, Replace: Create, Update; else 0
	claim     *Claim        // Claim.Save, Claim.Complete: the claim that must be valid; else nil
	release   bool          // Claim.Complete: release the claim too
	rewrite   bool          // Migrate: write the roots, also where they do not differ
	known     []entry       // Update: what is known of roots without an identity
	kept      []*codec.Kept // Update: what belongs to them besides what they hold
	committed bool          // the root's last save had an uncertain outcome and turned out to have succeeded
}

// savedID returns the ID of the record that a save is about, if that is known.
func (c *conn) savedID(how *saving, objs []any) ID {
	switch {
	case how.claim != nil:
		return how.claim.info.ID
	case how.under != "" || len(objs) != 1:
		return how.under
	}
	if obj, ok := objs[0].(Object); ok && !isNil(obj) {
		if ident := obj.persistable().known(); ident != nil {
			for _, key := range ident.saved() {
				if key.store == c.s.ident {
					return key.id
				}
			}
		}
	}
	return ""
}

func (c *conn) save(ctx context.Context, how saving, objs ...any) ([]ID, error) {
	if err := c.s.mayWrite(how.op, c.savedID(&how, objs)); err != nil {
		return nil, err
	}
	if how.rootOp != 0 {
		if err := idfactory.Validate(how.under, c.s.ids.Integral()); err != nil {
			return nil, c.s.fail(how.op, how.under, fmt.Errorf("%w: %w", ErrInvalidID, err))
		}
	}
	if len(objs) == 0 {
		return nil, nil
	}
	defer c.s.numbers.forget()
	taken := 0
	for range maxAttempts {
		sv := &saver{c: c, s: c.s, ctx: ctx, saving: how}
		ids, err := sv.attempt(objs)
		switch {
		case err == nil:
			return ids, nil
		case errors.Is(err, errAgain):
			how = sv.saving
			continue
		case errors.Is(err, ErrExists):
			again, rerr := sv.renew(err, 1<<min(taken, 20))
			if rerr != nil {
				return nil, c.s.fail(how.op, how.under, rerr)
			}
			if again {
				taken++
				continue
			}
		}
		return nil, c.s.fail(how.op, how.under, err)
	}
	return nil, c.s.fail(how.op, how.under, fmt.Errorf("gave up after %d attempts: %w", maxAttempts, ErrConflict))
}

// maxAttempts bounds how often a save starts again: after an ID turned out to be taken, or
// after another save of the same objects ended otherwise than expected. Each retry means that
// another write was made meanwhile.
const maxAttempts = 100

// errAgain asks for another attempt. It never leaves this package.
var errAgain = errors.New("the save must start again")

// A saver is one attempt of one save.
type saver struct {
	c       *conn
	s       *Store // of c
	ctx     context.Context
	saving  saving
	items   []*item
	roots   []*item             // one per root given; an object given twice is one item
	slab    []item              // spare items, allocated together
	outputs []output            // spare ones, allocated together
	chunk   []byte              // room for the bytes of small records
	shared  map[*identity]*item // items of objects that another save has reached first
	created createdSet
	unsure  []*item // objects whose last save had an uncertain outcome
	scratch []byte
	err     error // of adding an object referred to, as opposed to encoding the referrer
}

func (sv *saver) attempt(objs []any) ([]ID, error) {
	defer sv.forgetReached()
	if err := sv.walk(objs); err != nil {
		return nil, err
	}
	if err := sv.commit(); err != nil {
		return nil, err
	}
	ids := make([]ID, len(sv.roots))
	for i, it := range sv.roots {
		ids[i] = it.id
	}
	return ids, nil
}

// walk encodes the roots and the items that are added to the worklist meanwhile.
func (sv *saver) walk(objs []any) error {
	for i, obj := range objs {
		if err := sv.enlistRoot(i, obj); err != nil {
			return err
		}
	}
	enc := records.NewEncoder(sv.s.limits, sv)
	defer enc.Free()
	for i := 0; i < len(sv.items); i++ {
		if i%256 == 0 && sv.ctx.Err() != nil {
			return sv.ctx.Err()
		}
		if err := sv.encode(enc, sv.items[i]); err != nil {
			return err
		}
	}
	if len(sv.unsure) > 0 {
		committed, err := sv.c.resolveUncertain(sv.ctx, sv.unsure)
		if err != nil {
			return err
		}
		sv.saving.committed = slices.Contains(committed, sv.roots[0])
		return errAgain
	}
	written := 0
	for _, it := range sv.items {
		if it.out == nil {
			continue
		}
		written++
		it.out.newRefs = slices.DeleteFunc(it.out.newRefs, sv.created.has)
	}
	if sv.saving.deep {
		sv.s.shallow.note(sv.s, len(sv.items), written)
	}
	return nil
}
