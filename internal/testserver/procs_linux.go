package testserver

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// processes reads the table of processes from /proc, which any user may read.
func processes() ([]proc, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var all []proc
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has just ended
		}
		// The second field is a name in parentheses that may hold anything; after it come the
		// state and the parent.
		f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(f) < 2 {
			continue
		}
		parent, err := strconv.Atoi(f[1])
		if err != nil {
			continue
		}
		args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		all = append(all, proc{pid: pid, parent: parent, zombie: f[0] == "Z" || f[0] == "X",
			args: strings.ReplaceAll(string(args), "\x00", " ")})
	}
	return all, nil
}
