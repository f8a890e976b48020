package testserver

import (
	"os/exec"
	"strconv"
	"strings"
)

// processes asks ps for the table of processes.
func processes() ([]proc, error) {
	out, err := exec.Command("ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args=").Output()
	if err != nil {
		return nil, err
	}
	var all []proc
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		pid, err1 := strconv.Atoi(f[0])
		parent, err2 := strconv.Atoi(f[1])
		if err1 != nil || err2 != nil {
			continue
		}
		all = append(all, proc{pid: pid, parent: parent, zombie: strings.HasPrefix(f[2], "Z"), args: strings.Join(f[3:], " ")})
	}
	return all, nil
}
