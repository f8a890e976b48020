// Package fs keeps records in a directory, one file each. It registers the URL
// scheme "file": file:///abs/dir and file:rel/dir name the directory, which is created, with
// its parents, unless told otherwise. The URL takes no parameters.
//
// # Files
//
// The directory has the objects. The name of a file is the ID of its record: letters, digits, dot,
// underscore and minus stand for themselves, all else is percent-escaped, and so are a leading or
// trailing dot and the first letter of a name that Windows reserves. A name over 200 bytes is cut
// to 100 and continues with a tilde and a SHA-256. So no ID leads outside the directory, and all
// access goes through an [os.Root], so that no symbolic link leads out either. Names that start
// with ".brine" are the package's own:
//
//	.brine.lock       the lock of readers and writers, and the number of the last change
//	.brine.gate       locked while waiting for the lock, so that nobody starves
//	.brine.meta       identity, counter, kind of the IDs, catalog of the extra columns
//	.brine.commit     what is left to do of a commit of many records
//	.brine.changes    names of objects that have changed, once somebody has claimed
//	.brine.kv/        the namespace "kv", the key-value pairs; others in the same way
//	.brine.tmp.N      temporaries; also .brine.meta.tmp and .brine.commit.tmp
//
// The folder of a namespace has the files of its records, its temporaries and a .brine.meta of its
// own. The lock, the commit file and the number of the last change are those of the directory.
//
// Whatever else stands in the directory is not altered or removed, unless Strays has named it and
// it is then put away, and counts as absent: what is no regular file, what no ID is escaped to,
// what does not begin like a record. A file that does is a record, damaged or not.
//
// A file is a stream of msgpack values that any msgpack tool can read: a format mark, the length of
// the header, the header (a map), the CRC-32C of all this, the data as they are (package
// persistence gives a msgpack message), and the CRC-32C of the whole. So the header can be trusted
// without reading the data. Extra fields stand in the header by name, and their msgpack type tells
// their kind. A record that is claimed has the claim in its header: owner, end and token. Meta and
// commit files have the same frame without data, and the file of changes is a row of such frames.
//
// # Locks
//
// View has the lock shared while its function runs, Apply and NextIDs have it exclusively. It is
// one lock for all namespaces: every reader sees one state, and a View that lasts holds up all
// writers, of other processes too. The function must not call the Backend that runs it. Waiting
// ends with the context. The lock is flock(2) on Unix and LockFileEx on Windows. Where there is no
// lock file and none may be created (NoCreate, a read-only directory) Unix locks the directory
// instead and Windows nothing.
//
// In older versions of this package the pairs had a lock and commit files of their own, in
// .brine.kv. A commit that such a version has left there is finished by InitNamespace. An older and
// a newer program may use one directory in turn, but must not use its pairs at the same time: they
// do not exclude each other. Taking the old lock too would allow it, at the price of two more locks
// in every call that concerns pairs, for good, and for the time of an upgrade alone. Objects may be
// used by both at any time. An older program that finds the commit file of a newer one that crashed
// in a commit across namespaces refuses to go on (ErrCorrupt) until a newer one has finished that
// commit.
//
// # Commits and power loss
//
// A change of one record is: write a temporary in the folder of the record, fsync it, rename it,
// fsync the folder. The data are on disk before the name points to them; the rename is atomic.
//
// A change of several, of whatever namespaces, is in this order:
//
//  1. write all temporaries, each in the folder of its record, and the list of the renames and
//     removals to come, under a temporary name too;
//  2. flush all of it (syncfs on Linux if there are many, which also flushes the names; else fsync
//     of each, and of the folders);
//  3. rename the list to .brine.commit and fsync the directory: this is the commit;
//  4. do the renames and removals, fsync the folders;
//  5. remove .brine.commit; fsync the directory if the list names files in other folders.
//
// Applys that meet in one process share a commit: the first comer commits at once and alone, those
// who come meanwhile are committed together by the next of them, up to 64 or 4 MiB. Each is checked
// on top of what those before it in the group do, and one that fails leaves no trace. Where each
// has one change and none builds on another's, there is no list: all temporaries are written and
// flushed, all renames and removals done, and the folders flushed once, so that a crash may keep
// some of the group, but of each all or nothing. Else the group is one change of several. Each call
// returns when all is durable.
//
// A crash before 3 leaves temporaries that no one reads. Init removes them, and so does the next
// writer. After 3, whoever takes the lock next finds the list and goes on at 4 before reading or
// writing anything. That can be repeated at will: a rename whose temporary is gone has been done.
// In a list of objects alone step 5 is not flushed by itself. Should power fail, the list may come
// back when temporaries of a later commit have taken the names of its own, and so it has the
// checksum of each, and leaves alone what is not its own. The next commit of objects that is
// acknowledged flushes the directory, and the removal with it. A commit of pairs flushes their
// folder alone, and so a list that names pairs must be gone for good before it.
//
// A failure before 3 removes the temporaries and changes nothing. A failed fsync at 3 is
// ErrUncertain. A failure at 4 or 5 is not an error, the commit being durable, but a warning in the
// log: whoever comes next finishes it.
//
// With OpenOptions.ReadOnly (mode=ro in the URL of a store) the lock files are opened for reading,
// and locked shared. The list is read and not carried out: a record is read from the temporary
// that the list will put in its place, and one that it will remove is not there. Nothing is made,
// written, renamed or removed.
//
// # Claims
//
// Claim, Extend and ReleaseExpired are commits like any other, under the exclusive lock, by the
// clock of the machine. Each of them writes the files of the records concerned anew, data and all:
// claims are made for records that are not large. What Claiming.Edit calls must not use the
// Backend, for Claim has the lock.
//
// To find what to claim without opening every file, a Backend that claims keeps an index in memory:
// all that the headers say, of all objects, and so about as large as they are (a few hundred bytes
// a record). The first Claim or ReleaseExpired makes it by reading every header, and again after
// Suspend. It only says where to look: before a record is claimed its own file is read and checked.
//
// The index learns what others have changed from .brine.changes. The first Claim in a directory
// makes that file. Once it is there, every commit adds to it the names of the objects that it is
// about to change, before it changes them, so that whoever is killed in between is covered. It is
// not flushed: after a power failure every process starts anew, and makes its index anew. It has a
// generation, made at random, and is begun anew under another one when it is longer than 1 MiB. A
// process makes its index anew if it finds another generation than that of the index, a list that
// is gone, damaged or emptied, or fewer entries than there were commits. Files put in or taken out
// by hand while no one writes are noticed by the time of the directory. Where there is no such list
// and none may be made (NoCreate), each Claim reads all headers.
//
// On Windows, where a directory without a lock file cannot be locked, NoCreate and no lock file
// make claims errors.ErrUnsupported.
//
// # Unique values
//
// Where the catalog has a unique index, a write looks for the holders of its values in
// .brine.unique, a hash table of hints, and asks the headers of these few records. Hints are put in
// before the records that they are about, and are never taken out when a record changes, so a write
// that fails or dies leaves a hint too many and none too few. The table has a stamp of the state of
// the directory that it is of: the start of the machine, the generation and the time of the
// directory. Whoever lets go of the exclusive lock renews the stamp, if the table was good when it
// took the lock. Where the stamp is another one (a writer was killed, the machine was started anew,
// files were put in by hand, an older version has written), the next write makes the table anew
// from all headers. It is never flushed. With NoCreate, and where it cannot be known when the
// machine was started (neither Linux nor macOS), each process makes a table of its own.
//
// # Damage
//
// A record that cannot be read is reported as ErrCorrupt by Get and Scan and stays where it is.
// Update, Put, Check and Delete with a revision refuse it too; Delete without a revision removes
// it. Claim and ReleaseExpired pass over it, with a warning in the log. A write reads the header of
// what it replaces, not its data.
package fs
